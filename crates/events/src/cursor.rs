//! Position of a client in the log.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use bitcoin::BlockHash;
use sdk_relay_platform::blocking;
use sdk_relay_protocol::{Resume, Topic, Topics};
use sdk_relay_store::{EventKind, ReadLimit, StoreError};
use tokio::sync::watch;

use crate::frame::Frame;
use crate::hub::{Chain, Hub};

/// Limit of one step: enough to fill the buffer of a socket, and small enough to check for other work in between.
const STEP: ReadLimit = ReadLimit {
    events: 64,
    bytes: 256 << 10,
};

/// Number of events searched for a block, for a client of another relay: several days of blocks. Bounded, because each
/// handshake can request it.
pub(super) const LOOK_BACK: usize = 8192;

/// Position of a client in the log: every earlier event was delivered, or is not on its topics.
#[derive(Debug)]
pub struct Cursor {
    after: u64,
    /// It has reached the head: from then on, falling out of the ring means that the client is slow.
    live: bool,
    /// The last event that it may deliver, if limited by a barrier.
    barrier: Option<watch::Receiver<u64>>,
    /// The newest hole of the log that was reported to the client: the first event after it.
    hole_before: u64,
}

/// Result of a step of a cursor.
#[derive(Debug)]
pub enum Next {
    /// Events, in order; possibly none on its topics, and possibly followed by more.
    Frames(Vec<Frame>),
    /// The cursor is at the head, or at its barrier.
    UpToDate,
    /// It is too far behind: its next events are no longer in the ring.
    Lagged,
    /// Blocks were skipped since it started, without events: the client must be notified, like one that resumes before
    /// them.
    Hole,
}

impl Cursor {
    /// The last delivered event.
    pub fn after(&self) -> u64 {
        self.after
    }

    /// Whether it has reached the head since it started.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Limits it to the event in `barrier`. The barrier must be lowered before the delayed events are committed.
    pub fn held_by(mut self, barrier: watch::Receiver<u64>) -> Self {
        self.barrier = Some(barrier);
        self
    }
}

impl Hub {
    /// The tip as of the cursor; `None` while the cursor is behind the newest event, or no tip
    /// is known.
    pub fn tip_at(&self, cursor: &Cursor) -> Option<u32> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        if cursor.after < ring.newest() {
            return None;
        }
        self.with_chain(Chain::tip)
    }

    /// A cursor at the head: new events only.
    pub fn live(&self) -> Cursor {
        Cursor {
            after: *self.head.borrow(),
            live: true,
            barrier: None,
            hole_before: self.hole_before(),
        }
    }

    /// A cursor after the event `from`, and whether all later events are available. Reads the store: call on a blocking
    /// thread.
    pub fn resume(&self, from: u64) -> Result<(Cursor, Resume), StoreError> {
        let complete_from = self.log.complete_from()?;
        let newest = *self.head.borrow();
        if from > newest {
            // The id is of another log: it is unknown which events are new for the client.
            return Ok((self.live(), Resume::Gap));
        }
        let after = from.max(complete_from - 1);
        let hole_before = self.hole_before();
        let resume = match after == from && from >= hole_before {
            true => Resume::Complete,
            false => Resume::Gap,
        };
        let cursor = Cursor {
            after,
            live: false,
            barrier: None,
            hole_before,
        };
        Ok((cursor, resume))
    }

    /// A cursor after the event of the first of these blocks (newest first) that is in the chain. A gap, and new events
    /// only, if none is, or if that event is too old. Reads the store: call on a blocking thread.
    pub fn resume_after(&self, blocks: &[BlockHash]) -> Result<(Cursor, Resume), StoreError> {
        let known: HashSet<BlockHash> = self.with_chain(|chain| chain.blocks.values().copied().collect());
        let Some(block) = blocks.iter().find(|hash| known.contains(*hash)) else {
            return Ok((self.live(), Resume::Gap));
        };
        match self.log.newest_about(EventKind::BlockMined, *block, LOOK_BACK)? {
            Some(event) => self.resume(event),
            None => Ok((self.live(), Resume::Gap)),
        }
    }

    /// The next events for a cursor, on these topics.
    pub async fn next(self: &Arc<Self>, cursor: &mut Cursor, topics: Topics) -> Result<Next, StoreError> {
        let hole_before = self.hole_before();
        if hole_before > cursor.hole_before {
            if [Topic::Notifications, Topic::Tweaks]
                .into_iter()
                .any(|topic| topics.contains(topic))
            {
                return Ok(Next::Hole);
            }
            // A client with watches only is notified by its watches.
            cursor.hole_before = hole_before;
        }
        if let Some(next) = self.next_in_memory(cursor, topics) {
            return Ok(next);
        }
        if cursor.live {
            return Ok(Next::Lagged);
        }
        let (log, after) = (Arc::clone(&self.log), cursor.after);
        let barrier = cursor.barrier.clone();
        let read = move || {
            let mut entries = log.read_after(after, STEP)?;
            if entries.first().is_some_and(|first| first.id == after + 1) {
                let last = last_allowed(barrier.as_ref());
                entries.retain(|entry| entry.id <= last);
            }
            let ends = entries.first().map(|e| e.id).zip(entries.last().map(|e| e.id));
            let of_topics = entries.iter().filter(|e| topics.contains(e.topic));
            Ok::<_, StoreError>((ends, of_topics.flat_map(Frame::of_entry).collect()))
        };
        let Ok(read) = blocking::spawn(read).await else {
            return Ok(Next::Lagged);
        };
        match read? {
            // Retention removed events while the client was catching up.
            (Some((first, _)), _) if first != after + 1 => Ok(Next::Lagged),
            (Some((_, last)), frames) => {
                cursor.after = last;
                Ok(Next::Frames(frames))
            }
            (None, _) => Ok(Next::UpToDate),
        }
    }

    /// `None` when the events are not in the ring.
    fn next_in_memory(&self, cursor: &mut Cursor, topics: Topics) -> Option<Next> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        if cursor.after >= ring.newest() {
            cursor.live = true;
            return Some(Next::UpToDate);
        }
        let last = last_allowed(cursor.barrier.as_ref());
        if cursor.after >= last {
            // The client is not slow: events that fall out of the ring meanwhile are read from the store.
            cursor.live = false;
            return Some(Next::UpToDate);
        }
        let mut frames = Vec::new();
        let mut bytes = 0;
        for (topic, frame) in ring.after(cursor.after, STEP.events)? {
            bytes += frame.len();
            if cursor.after >= last || (!frames.is_empty() && bytes > STEP.bytes) {
                break;
            }
            cursor.after += 1;
            if topics.contains(*topic) {
                frames.push(frame.clone());
            }
        }
        Some(Next::Frames(frames))
    }
}

/// The last event that a cursor may deliver. Must be read after the events: a commit lowers the barrier first.
fn last_allowed(barrier: Option<&watch::Receiver<u64>>) -> u64 {
    barrier.map_or(u64::MAX, |barrier| *barrier.borrow())
}
