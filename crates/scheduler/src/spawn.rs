//! Owner of the threads of detection.

use std::io;
use std::pin::Pin;

/// Work of a thread.
pub type ThreadWork = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts threads. The process's supervisor implements it, so that every thread has an owner.
pub trait SpawnThread {
    /// Runs the work to its end on a thread of this name, which it may block; timers and tasks are those of the calling
    /// runtime. In a simulation it is a task. An error where the system refuses a thread.
    fn spawn_thread(&self, name: &'static str, work: ThreadWork) -> io::Result<()>;
}
