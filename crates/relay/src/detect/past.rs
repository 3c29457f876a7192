//! What a watch has still to be told of the past, and how that joins the present.
//!
//! A watch is live from the moment it is registered: whatever connects from then on is told as it comes. Its history is what lies in blocks
//! up to the tip of that moment, `until`. When one of those is disconnected, `until` goes down to its parent: what takes its place connects
//! anew, and is told live. So every block is either at or below `until` and told by the scan, or above it and told live; never both, never neither.
//!
//! While the index is whole, live news waits until the history is told, so that a client hears all in order. While the index is being built
//! that could take days: then live news comes at once.

use sdk_relay_chain::BlockRef;

use crate::hub::Frame;

/// Live news that wait for the end of a scan. A client with more of them hears them before the rest of its history.
pub(super) const HELD: usize = 1024;
/// Progress is told in steps of this much.
const STEP: f64 = 0.01;

/// The part of a watch's history that is yet to be told.
pub(super) struct Past {
    from: u32,
    /// The lowest block that has not been told.
    next: u32,
    /// The highest block that is history.
    until: u32,
    /// News that wait for the end; `None`: nothing waits.
    held: Option<Vec<Frame>>,
    told: Option<f64>,
}

/// Where a scan is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The next block, and the last.
    Go { next: u32, until: u32 },
    /// What was brought is of another chain than detection's: the index, or detection, is about to follow.
    Stale { next: u32, until: u32 },
    /// All is told, or the watch is gone.
    Done,
}

impl Past {
    pub(super) fn new(from: u32, until: u32, hold: bool) -> Self {
        Self {
            from,
            next: from,
            until,
            held: hold.then(Vec::new),
            told: None,
        }
    }

    pub(super) fn next(&self) -> u32 {
        self.next
    }

    pub(super) fn until(&self) -> u32 {
        self.until
    }

    pub(super) fn is_over(&self) -> bool {
        self.next > self.until
    }

    /// Everything up to this block was told.
    pub(super) fn through(&mut self, at: BlockRef) {
        self.next = self.next.max(at.height.min(self.until).saturating_add(1));
    }

    /// A block left the chain: what takes its place is told live.
    pub(super) fn disconnected(&mut self, height: u32) {
        if height <= self.until {
            // Below the genesis block there is nothing: a chain cannot lose it.
            self.until = height.saturating_sub(1);
            self.next = self.next.min(height);
        }
    }

    /// Keeps news for later. Gives it, with all that waited, where it is not to wait.
    pub(super) fn hold(&mut self, news: Frame) -> Vec<Frame> {
        match &mut self.held {
            Some(held) if held.len() < HELD => {
                held.push(news);
                Vec::new()
            }
            _ => {
                let mut all = self.release();
                all.push(news);
                all
            }
        }
    }

    /// What has waited, in order.
    pub(super) fn release(&mut self) -> Vec<Frame> {
        self.held.take().unwrap_or_default()
    }

    /// The share that was told, where it is worth a message: 0 at the beginning, each further hundredth, and 1 at the end.
    pub(super) fn progress(&mut self) -> Option<f64> {
        let all = f64::from(self.until.saturating_sub(self.from).saturating_add(1));
        let share = if self.is_over() {
            1.0
        } else {
            f64::from(self.next.saturating_sub(self.from)) / all
        };
        let share = share.clamp(self.told.unwrap_or(0.0), 1.0);
        let worth = self
            .told
            .is_none_or(|told| share >= told + STEP || (share >= 1.0 && told < 1.0));
        worth.then(|| *self.told.insert(share))
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::BlockHash;
    use bitcoin::hashes::Hash;

    use super::*;

    fn at(height: u32) -> BlockRef {
        BlockRef {
            height,
            hash: BlockHash::all_zeros(),
        }
    }

    #[test]
    fn a_block_is_told_by_the_scan_or_live() {
        let mut past = Past::new(10, 20, true);
        past.through(at(15));
        assert_eq!((past.next(), past.until()), (16, 20));
        past.disconnected(21);
        assert_eq!((past.next(), past.until()), (16, 20), "above the history");
        past.disconnected(20);
        past.disconnected(19);
        assert_eq!((past.next(), past.until()), (16, 18));
        for height in [18, 17, 16, 15] {
            past.disconnected(height);
        }
        assert_eq!((past.next(), past.until()), (15, 14));
        assert!(past.is_over());
    }

    #[test]
    fn progress_begins_at_nothing_grows_and_ends_at_one() {
        let mut past = Past::new(0, 999, false);
        assert_eq!(past.progress(), Some(0.0));
        past.through(at(4));
        assert_eq!(past.progress(), None);
        past.through(at(499));
        assert_eq!(past.progress(), Some(0.5));
        past.through(at(5000));
        assert_eq!((past.progress(), past.progress()), (Some(1.0), None));
    }

    #[test]
    fn what_is_held_comes_in_order_and_is_bounded() {
        let frame = |n: usize| Frame::from_text(n.to_string().into_bytes().into());
        let mut past = Past::new(0, 9, true);
        for n in 0..HELD {
            assert!(past.hold(frame(n)).is_empty());
        }
        let all = past.hold(frame(HELD));
        assert_eq!(all, (0..=HELD).map(frame).collect::<Vec<_>>());
        assert_eq!(past.hold(frame(0)), [frame(0)], "from then on nothing waits");
        assert_eq!(Past::new(0, 9, false).hold(frame(1)), [frame(1)]);
    }
}
