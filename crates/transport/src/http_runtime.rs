//! Separate threads for the HTTP API.
//!
//! WebSocket clients can send gigabytes at once, which can occupy the threads that read them for seconds. Service
//! managers poll `/health/live` and kill a relay that does not answer: with separate threads, the operating system
//! shares the processors fairly.

use std::io;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that serve HTTP. Two, so that a CPU-bound request does not delay others.
pub const THREADS: usize = 2;

/// A runtime that may be dropped in any context: its tasks are aborted, and not awaited.
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

    /// Its handle for spawning. `None` only after the drop.
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
