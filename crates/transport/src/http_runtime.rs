//! Separate threads for the HTTP API.
//!
//! WebSocket clients can send gigabytes at once, which can occupy the threads that read them for seconds. Service
//! managers poll `/health/live` and kill a relay that does not answer: with separate threads, the operating system
//! shares the processors fairly.

use std::io;

use sdk_relay_platform::net::Listener;
use sdk_relay_platform::simulation;
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that serve HTTP. Two, so that a CPU-bound request does not delay others.
pub const THREADS: usize = 2;

/// A runtime that may be dropped in any context: its tasks are aborted, and not awaited. In a simulation, the runtime
/// of the caller.
#[derive(Debug)]
pub struct HttpRuntime {
    handle: Handle,
    /// `None` in a simulation, and after the drop.
    own: Option<Runtime>,
}

impl HttpRuntime {
    /// Starts its threads. Panics outside of a runtime.
    pub fn new() -> io::Result<Self> {
        if simulation::is_active() {
            return Ok(Self {
                handle: Handle::current(),
                own: None,
            });
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("http")
            .enable_all()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            own: Some(runtime),
        })
    }

    /// Its handle for spawning.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// A listener whose connections these threads serve.
    pub fn adopt(&self, listener: Listener) -> io::Result<Listener> {
        let _entered = self.handle.enter();
        listener.detach()?.attach()
    }
}

impl Drop for HttpRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.own.take() {
            runtime.shutdown_background();
        }
    }
}
