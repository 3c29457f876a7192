//! The threads that compute tweaks and scan history.

use tokio::sync::oneshot;

use crate::supervisor::{Failure, Supervisor};

/// How much the threads give way to others, from 0 to 19: detection and sockets are served first on a busy machine.
const NICE: i32 = 10;

/// `index.scan_threads` threads. Work that is given to them waits its turn; nothing else of the relay waits for it.
#[derive(Debug)]
pub struct Pool {
    threads: rayon::ThreadPool,
}

impl Pool {
    /// Starts the threads, for nobody's relay.
    pub fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        Self::supervised(threads, &Supervisor::default())
    }

    /// Starts the threads of a relay. Work that panics ends it; without a handler the process would be aborted.
    pub fn supervised(threads: usize, supervisor: &Supervisor) -> Result<Self, rayon::ThreadPoolBuildError> {
        let supervisor = supervisor.clone();
        let threads = rayon::ThreadPoolBuilder::new()
            .panic_handler(move |_| {
                supervisor.fail(Failure {
                    part: "index threads",
                    panicked: true,
                });
            })
            .num_threads(threads.max(1))
            .thread_name(|n| format!("index-{n}"))
            .start_handler(|_| give_way(NICE))
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
pub(crate) fn give_way(nice: i32) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, nice) {
        tracing::debug!(%error, "a thread keeps its priority");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = nice;
}
