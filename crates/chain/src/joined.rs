//! Tasks that belong to another task.

use std::panic::resume_unwind;

use tokio::task::JoinError;

/// What a task has come to, for the task that owns it. Its panic goes on in the owner, and so to whoever supervises
/// that: dropped with the handle it would be an outcome like any other, and tried again for ever. `None`: the runtime
/// ends.
pub fn joined<T>(ended: Result<T, JoinError>) -> Option<T> {
    match ended {
        Ok(value) => Some(value),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => None,
        },
    }
}
