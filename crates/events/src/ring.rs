//! The newest events, in memory.

use std::collections::VecDeque;

use sdk_relay_protocol::Topic;

use crate::frame::Frame;

/// Number of events that a client may be behind before it counts as slow: about twenty blocks full of payments.
pub(super) const RING_EVENTS: usize = 4096;
/// Size of them in bytes: the tweaks of a hundred mainnet blocks.
const RING_BYTES: usize = 16 << 20;

/// Events `oldest..=newest`, without gaps.
#[derive(Debug)]
pub(super) struct Ring {
    frames: VecDeque<(Topic, Frame)>,
    bytes: usize,
    newest: u64,
}

impl Ring {
    /// An empty ring after the event `newest`.
    pub(super) fn new(newest: u64) -> Self {
        Self {
            frames: VecDeque::new(),
            bytes: 0,
            newest,
        }
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    pub(super) fn push(&mut self, id: u64, topic: Topic, frame: Frame) {
        debug_assert_eq!(id, self.newest + 1, "the log has no holes");
        self.bytes += frame.len();
        self.frames.push_back((topic, frame));
        self.newest = id;
        while self.frames.len() > RING_EVENTS || (self.bytes > RING_BYTES && self.frames.len() > 1) {
            let Some((_, gone)) = self.frames.pop_front() else {
                break;
            };
            self.bytes -= gone.len();
        }
    }

    /// Events after `after`, at most `limit`; `None` if the ring does not reach back that far.
    pub(super) fn after(&self, after: u64, limit: usize) -> Option<impl Iterator<Item = &(Topic, Frame)>> {
        let missing = usize::try_from(self.newest.checked_sub(after)?).ok()?;
        let skip = self.frames.len().checked_sub(missing)?;
        Some(self.frames.iter().skip(skip).take(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: usize) -> Frame {
        Frame::logged(1, vec![b' '; bytes].into())
    }

    fn ring(frames: impl IntoIterator<Item = Frame>) -> Ring {
        let mut ring = Ring::new(0);
        for (id, frame) in (1..).zip(frames) {
            ring.push(id, Topic::Notifications, frame);
        }
        ring
    }

    fn held(ring: &Ring) -> usize {
        assert_eq!(
            ring.bytes,
            ring.frames.iter().map(|(_, frame)| frame.len()).sum::<usize>()
        );
        ring.frames.len()
    }

    #[test]
    fn it_holds_the_newest_events_up_to_their_number() {
        let ring = ring((0..RING_EVENTS + 10).map(|_| frame(1)));
        assert_eq!(held(&ring), RING_EVENTS);
        let oldest = ring.newest() - RING_EVENTS as u64;
        assert!(ring.after(oldest, 1).is_some() && ring.after(oldest - 1, 1).is_none());
    }

    #[test]
    fn it_holds_the_newest_events_up_to_their_size() {
        const QUARTER: usize = RING_BYTES / 4;
        let ring = ring((0..10).map(|_| frame(QUARTER)));
        assert_eq!(held(&ring), 4);
        assert!(ring.after(6, 1).is_some() && ring.after(5, 1).is_none());
    }

    #[test]
    fn an_event_over_the_size_is_held_alone() {
        let ring = ring([frame(10), frame(RING_BYTES + 1)]);
        assert_eq!(held(&ring), 1);
    }
}
