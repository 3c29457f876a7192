//! Where in the log a client begins.

use std::sync::Arc;

use bitcoin::BlockHash;
use sdk_relay_events::{Cursor, Hub};
use sdk_relay_platform::blocking;
use sdk_relay_protocol::Resume;
use sdk_relay_store::StoreError;
use tokio::task::JoinError;

/// What a handshake says of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// New events only.
    Now,
    /// Behind this event.
    After(u64),
    /// Behind the first of these blocks that this relay knows: the client comes from another relay.
    AfterBlocks(Vec<BlockHash>),
}

/// The place, and what the answer to the handshake says of it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) cursor: Cursor,
    pub(super) resume: Option<Resume>,
    pub(super) resumed_after: Option<u64>,
}

/// Why there is no place.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoPlace {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Task(#[from] JoinError),
}

impl Begin {
    pub(super) async fn place(self, hub: &Arc<Hub>) -> Result<Place, NoPlace> {
        let log = Arc::clone(hub);
        let (cursor, resume, of_blocks) = match self {
            Self::Now => {
                return Ok(Place {
                    cursor: hub.live(),
                    // Before the first block is known, what happens is not in the log.
                    resume: hub.tip().is_none().then_some(Resume::Gap),
                    resumed_after: None,
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
        Ok(Place {
            resumed_after: of_blocks.then(|| cursor.after()),
            cursor,
            resume: Some(resume),
        })
    }
}
