//! What a connection may still send when it is closed because its peer does not read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Makes the system take more bytes for a connection than before: enough for the rest of a frame and a close frame,
/// although the peer takes nothing. The system keeps sending them after the connection is closed here, for a minute or
/// more, as long as the peer's system answers.
#[derive(Clone, Debug, Default)]
pub struct LastWords(Arc<AtomicBool>);

impl LastWords {
    /// From the next write on. What is written after that is all that the connection sends.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether they begin now.
    pub(crate) fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}
