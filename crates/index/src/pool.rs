//! The threads that compute tweaks and scan history.

use sdk_relay_platform::simulation;
use tokio::sync::oneshot;

/// The lowest priority that Linux has.
#[cfg(target_os = "linux")]
const LOWEST: i32 = 19;
/// Increment of the nice value of the threads: detection and sockets have priority on a busy machine.
const NICE: i32 = 10;

/// `index.scan_threads` threads. Work is queued; no other part of the relay waits for it.
#[derive(Debug)]
pub struct Pool {
    threads: rayon::ThreadPool,
}

impl Pool {
    /// Starts the threads. Work that panics is reported by the panic hook of the process only.
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

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Runs the work on one of the threads; in a simulation, as a task. `None` if it panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        if simulation::is_active() {
            return tokio::spawn(async move { work() }).await.ok();
        }
        let (sender, done) = oneshot::channel();
        self.threads.spawn(move || {
            #[expect(clippy::let_underscore_must_use, reason = "the caller may have stopped waiting")]
            let _ = sender.send(work());
        });
        done.await.ok()
    }
}

/// Lowers the priority of the calling thread permanently, relative to its current one: the operator may run the whole
/// process at a lower priority. Only Linux has priorities per thread.
pub fn lower_priority(nice: i32) {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpriority_process, setpriority_process};
        let lowered =
            getpriority_process(None).and_then(|now| setpriority_process(None, now.saturating_add(nice).min(LOWEST)));
        if let Err(error) = lowered {
            tracing::debug!(%error, "cannot lower the priority of a thread");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = nice;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn the_priority_is_lowered_relative_to_the_process_and_saturates() {
        let of_process = getpriority_process(None).unwrap();
        let thread = std::thread::Builder::new();
        let lowered = thread.spawn(move || {
            [NICE, 1, 100].map(|nice| {
                lower_priority(nice);
                getpriority_process(None).unwrap()
            })
        });
        let expected = [of_process + NICE, of_process + NICE + 1, LOWEST].map(|nice| nice.min(LOWEST));
        assert_eq!(lowered.unwrap().join().unwrap(), expected);
        assert_eq!(getpriority_process(None).unwrap(), of_process, "of that thread only");
    }
}
