//! The final writes of a connection that is closed because its peer does not read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Enlarges the send buffer of a connection, so that the system accepts the rest of a frame and a close frame although
/// the peer does not read. The system continues to send them after the connection is closed here, for a minute or more,
/// as long as the peer's system answers.
#[derive(Clone, Debug, Default)]
pub struct FinalWrites(Arc<AtomicBool>);

impl FinalWrites {
    /// Starts with the next write, the last ones of the connection.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether they start with this write.
    pub(crate) fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}
