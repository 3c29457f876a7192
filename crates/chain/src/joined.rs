//! Propagates panics of child tasks to their owner.

use std::panic::resume_unwind;

use tokio::task::JoinError;

/// Result of a child task. A panic of the child is resumed in the calling task, so that its supervisor handles it:
/// treated as an ordinary failure, it would be retried for ever. `None` if the runtime is shutting down.
pub fn joined<T>(ended: Result<T, JoinError>) -> Option<T> {
    match ended {
        Ok(value) => Some(value),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => None,
        },
    }
}
