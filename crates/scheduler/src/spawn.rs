//! Owner of the threads of detection.

use std::io;

/// Starts threads. The process's supervisor implements it, so that every thread has an owner.
pub trait SpawnThread {
    /// Runs the work on a thread of this name; an error if the system refuses it.
    fn spawn_thread(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) -> io::Result<()>;
}
