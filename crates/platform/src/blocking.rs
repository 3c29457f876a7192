//! Work that blocks: disk accesses and long computations.

use tokio::task::JoinHandle;

use crate::simulation;

/// Runs this on a thread for blocking work (`tokio::task::spawn_blocking`); in a simulation, on the same thread as a
/// task. Panics outside of a tokio runtime.
pub fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    if simulation::is_active() {
        tokio::spawn(async move { work() })
    } else {
        tokio::task::spawn_blocking(work)
    }
}
