//! Threads of the HTTP API's own.
//!
//! WebSocket clients can send gigabytes at once, which the threads that read them work on for seconds. `/health/live`
//! is asked by service managers that kill a relay for not answering: the operating system divides the processor between
//! these threads and the others.

use std::io;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that serve HTTP. A second one, so that a request that takes the processor for a moment holds up no other.
pub const THREADS: usize = 2;

/// A runtime that may be dropped anywhere: its tasks are ended, and not waited for.
#[derive(Debug)]
pub struct HttpRuntime(Option<Runtime>);

impl HttpRuntime {
    /// Starts its threads.
    pub fn new() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("http")
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Where its tasks are spawned; those that they spawn run there too. `None` never comes before the drop.
    pub fn handle(&self) -> Option<&Handle> {
        self.0.as_ref().map(Runtime::handle)
    }

    /// A listener whose connections these threads serve.
    pub fn adopt(&self, listener: TcpListener) -> io::Result<TcpListener> {
        let _entered = self.handle().map(Handle::enter);
        TcpListener::from_std(listener.into_std()?)
    }
}

impl Drop for HttpRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
