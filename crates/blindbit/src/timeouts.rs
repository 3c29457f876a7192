//! How long a request may wait.

use std::time::Duration;

/// The time limits of BlindBit's routes. A relay has those of [`Default`]; tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// A request waits for memory for its answer.
    pub memory: Duration,
}

/// Shorter than the write timeout (30 s), and than the timeout of an answer (60 s).
const MEMORY: Duration = Duration::from_secs(20);

impl Default for Timeouts {
    fn default() -> Self {
        Self { memory: MEMORY }
    }
}
