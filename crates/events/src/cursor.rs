//! A client's place in the log.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use bitcoin::BlockHash;
use sdk_relay_protocol::{Resume, Topic, Topics};
use sdk_relay_store::{EventKind, ReadLimit, StoreError};
use tokio::sync::watch;

use crate::frame::Frame;
use crate::hub::{Chain, Hub};

/// What one step hands over at most: enough to fill a socket's buffer, little enough to look up between two.
const STEP: ReadLimit = ReadLimit {
    events: 64,
    bytes: 256 << 10,
};

/// Events among which a block is looked for, for a client that comes from another relay: some days of blocks. Clients
/// can ask for it as often as they shake hands.
pub(super) const LOOK_BACK: usize = 8192;

/// A client's place in the log: everything up to it has been handed over or was not on its topics.
#[derive(Debug)]
pub struct Cursor {
    after: u64,
    /// It was at the head once: from then on, falling out of the ring means that the client is slow.
    live: bool,
    /// The last event that it may pass, where something else decides that too.
    barrier: Option<watch::Receiver<u64>>,
    /// The newest hole of the log that the client knows of: the first event after it.
    hole_before: u64,
}

/// What is next for a client.
#[derive(Debug)]
pub enum Next {
    /// These, in order; there may be none on its topics, and there may be more after them.
    Frames(Vec<Frame>),
    /// Nothing: it is at the head, or at its barrier.
    UpToDate,
    /// It is so far behind that what it misses is no longer held for it.
    Lagged,
    /// Blocks could not be followed since it began, and no event is about them: the client has to know, as one that
    /// resumes before them does.
    Hole,
}

impl Cursor {
    /// The event up to which all is handed over.
    pub fn after(&self) -> u64 {
        self.after
    }

    /// Stops it behind the event that this says, for as long as it says so. The barrier has to be lowered before the
    /// events that it holds back are committed.
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

    /// A cursor behind the event `from`, and whether everything after it is there. Reads the store: not for the
    /// runtime's own threads.
    pub fn resume(&self, from: u64) -> Result<(Cursor, Resume), StoreError> {
        let complete_from = self.log.complete_from()?;
        let newest = *self.head.borrow();
        if from > newest {
            // These ids are of another log: nothing here is known to be new or old for the client.
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

    /// A cursor behind the event about the first of these blocks that is in the chain; the newest comes first. A
    /// gap, and new events only, where none of them is, or that event is no longer near. Reads the store: not for the
    /// runtime's own threads.
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
            // A client of watches alone learns it from them.
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
            let wanted = entries.iter().filter(|e| topics.contains(e.topic));
            Ok::<_, StoreError>((ends, wanted.flat_map(Frame::of_entry).collect()))
        };
        let Ok(read) = tokio::task::spawn_blocking(read).await else {
            return Ok(Next::Lagged);
        };
        match read? {
            // Retention overtook the client while it caught up.
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
            // It is not the client that is slow: what falls out of the ring meanwhile comes from the store.
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

/// The last event that a cursor may pass. To be read after the events were: what is committed by then has lowered the
/// barrier before.
fn last_allowed(barrier: Option<&watch::Receiver<u64>>) -> u64 {
    barrier.map_or(u64::MAX, |barrier| *barrier.borrow())
}
