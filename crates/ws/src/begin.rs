//! The position in the event log at which a client begins.

use std::sync::Arc;

use bitcoin::BlockHash;
use sdk_relay_events::{Cursor, Hub};
use sdk_relay_platform::blocking;
use sdk_relay_protocol::Resume;
use sdk_relay_store::StoreError;
use tokio::task::JoinError;

/// The position that a handshake requests.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// New events only.
    Now,
    /// After this event.
    After(u64),
    /// After the first of these blocks that this relay knows: the client was connected to another relay before.
    AfterBlocks(Vec<BlockHash>),
}

/// The position, and the field `resume` of the handshake response.
#[derive(Debug)]
pub(super) struct LogPosition {
    pub(super) cursor: Cursor,
    pub(super) resume: Option<Resume>,
    pub(super) resumed_after: Option<u64>,
    /// The client receives new events only, those after the cursor.
    is_live: bool,
}

impl LogPosition {
    /// The field `last_event_id` of the handshake response. For a client that receives new events only, it is not the
    /// head, which may be higher by now: a client that resumes from this id would miss the events between.
    pub(super) fn last_event_id(&self, head: u64) -> u64 {
        if self.is_live { self.cursor.after() } else { head }
    }
}

/// Why there is no such position.
#[derive(Debug, thiserror::Error)]
pub(super) enum PositionError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Task(#[from] JoinError),
}

impl Begin {
    pub(super) async fn position(self, hub: &Arc<Hub>) -> Result<LogPosition, PositionError> {
        let log = Arc::clone(hub);
        let (cursor, resume, of_blocks) = match self {
            Self::Now => {
                return Ok(LogPosition {
                    cursor: hub.live(),
                    // Before the first block is known, nothing is written to the log.
                    resume: hub.tip().is_none().then_some(Resume::Gap),
                    resumed_after: None,
                    is_live: true,
                });
            }
            Self::After(event) => {
                let (cursor, resume) = blocking::spawn(move || log.resume(event)).await??;
                (cursor, resume, false)
            }
            Self::AfterBlocks(blocks) => {
                let (cursor, resume) = blocking::spawn(move || log.resume_after(&blocks)).await??;
                (cursor, resume, true)
            }
        };
        Ok(LogPosition {
            resumed_after: of_blocks.then(|| cursor.after()),
            cursor,
            resume: Some(resume),
            is_live: false,
        })
    }
}

#[cfg(test)]
mod tests;
