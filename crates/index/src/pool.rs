//! The threads that compute tweaks and scan history.

use tokio::sync::oneshot;

/// By how much the threads' priority is lowered, from 0 to 19: detection and sockets are served first on a busy machine.
const NICE: i32 = 10;

/// `index.scan_threads` threads. Work that is given to them waits its turn; nothing else of the relay waits for it.
#[derive(Debug)]
pub struct Pool {
    threads: rayon::ThreadPool,
}

impl Pool {
    /// Starts the threads. Work that panics is reported by the process's panic hook alone.
    pub fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        Self::with_panic_handler(threads, || {})
    }

    /// Starts the threads. `on_panic` is called for work that panics; without a handler rayon would abort the process.
    pub fn with_panic_handler(
        threads: usize,
        on_panic: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, rayon::ThreadPoolBuildError> {
        let threads = rayon::ThreadPoolBuilder::new()
            .panic_handler(move |_| on_panic())
            .num_threads(threads.max(1))
            .thread_name(|n| format!("index-{n}"))
            .start_handler(|_| lower_priority(NICE))
            .build()?;
        Ok(Self { threads })
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Has one of the threads do the work. `None` when the work panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (sender, done) = oneshot::channel();
        self.threads.spawn(move || {
            #[expect(clippy::let_underscore_must_use, reason = "whoever asked may be gone by now")]
            let _ = sender.send(work());
        });
        done.await.ok()
    }
}

/// Lowers the priority of the calling thread for good, by so much (at most 19). Only Linux has priorities of single threads.
pub fn lower_priority(nice: i32) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, nice) {
        tracing::debug!(%error, "cannot lower the priority of a thread");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = nice;
}
