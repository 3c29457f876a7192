//! Owner of the tasks of connections.

use std::fmt::Debug;
use std::pin::Pin;

/// Starts the task of a connection. The process's supervisor implements it, so that every connection has an owner.
pub trait SpawnConnection: Debug + Send + Sync {
    /// Runs the connection to its end.
    fn spawn(&self, connection: Pin<Box<dyn Future<Output = ()> + Send>>);
}
