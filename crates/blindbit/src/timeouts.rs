//! How long requests may take.

use std::time::Duration;

/// The time limits of BlindBit's routes and calls. A relay has those of [`Default`]; tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// A request waits for memory for its answer.
    pub memory: Duration,
    /// The one message of a call arrives.
    pub request: Duration,
    /// A stream of the reflection service lasts.
    pub reflection: Duration,
}

/// Shorter than the write timeout (30 s), and than the timeout of an answer (60 s).
const MEMORY: Duration = Duration::from_secs(20);

/// As long as the headers of an HTTP request may take.
const REQUEST: Duration = Duration::from_secs(10);
/// A client asks for the description when it starts.
const REFLECTION: Duration = Duration::from_secs(60);

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            memory: MEMORY,
            request: REQUEST,
            reflection: REFLECTION,
        }
    }
}
