//! Notifications to the service manager (systemd, `Type=notify`): readiness, a status line, and the watchdog.
//!
//! Without `NOTIFY_SOCKET` nothing is sent. The protocol is that of `sd_notify(3)`.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;
use sdk_relay_service::Status;
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::task::AbortOnDropHandle;

/// Interval at which the status line is compared with the one that was sent last.
const STATUS_INTERVAL: Duration = Duration::from_secs(2);
/// Longest status line in bytes. systemd drops a whole message above 4096 bytes, its other fields included.
const STATUS_LENGTH: usize = 512;
/// Pings for each `WatchdogSec`: one that is late does not end the relay.
const PINGS: u32 = 3;

/// The service manager that started this process, if there is one. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct ServiceManager(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    is_there: bool,
    /// `WatchdogSec` of the unit.
    watchdog: Option<Duration>,
    /// Runtimes of the current relay, besides the one of the process.
    runtimes: Mutex<Vec<Handle>>,
    /// A notification has failed: the log says so once.
    has_failed: AtomicBool,
}

impl ServiceManager {
    /// The one that the environment names.
    pub fn from_environment() -> Self {
        Self(Arc::new(Shared {
            is_there: std::env::var_os("NOTIFY_SOCKET").is_some(),
            watchdog: sd_notify::watchdog_enabled(),
            runtimes: Mutex::default(),
            has_failed: AtomicBool::new(false),
        }))
    }

    /// Starts the pings of the watchdog, if the unit has one. They end when the handle is dropped, and when the task
    /// panics: then the service manager restarts the relay.
    ///
    /// A ping is sent only after a task ran on the threads of the process, of which this task occupies one, and on
    /// those of the HTTP API. Threads that are all blocked send none. Detection is not asked: it waits for the disk as
    /// long as that takes, while clients stay connected; the [supervisor](crate::Supervisor) notices its end.
    pub fn start_watchdog(&self) -> Option<AbortOnDropHandle<()>> {
        let period = self.0.watchdog.filter(|_| self.0.is_there)?;
        let manager = self.clone();
        Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let mut ticks = interval(period / PINGS);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if run_a_task(&manager.runtimes(), period).await {
                    manager.notify(&[NotifyState::Watchdog]);
                } else {
                    tracing::error!(
                        "the threads of the HTTP API do not run: no ping to the watchdog of the service manager"
                    );
                }
            }
        })))
    }

    /// Both ports listen; the watchdog also asks these runtimes from now on.
    pub fn ready(&self, runtimes: Vec<Handle>, status: &Status) {
        *self.0.runtimes.lock().unwrap_or_else(PoisonError::into_inner) = runtimes;
        self.notify(&[NotifyState::Ready, NotifyState::Status(&status_line(status))]);
    }

    /// Keeps the status line up to date. Never ends; without a service manager, it does nothing.
    pub async fn report(self, status: Status) {
        if !self.0.is_there {
            return std::future::pending().await;
        }
        let mut sent = String::new();
        let mut ticks = interval(STATUS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let line = status_line(&status);
            if line != sent {
                self.notify(&[NotifyState::Status(&line)]);
                sent = line;
            }
        }
    }

    /// Sets the status line: the relay restarts, or fails.
    pub fn status(&self, line: &str) {
        self.notify(&[NotifyState::Status(&one_line(line))]);
    }

    /// Runs `reload` as the reload of the service.
    pub async fn reloading(&self, reload: impl Future<Output = ()>) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.notify(&[NotifyState::Reloading, now]),
            Err(error) => self.failed(&error),
        }
        reload.await;
        self.notify(&[NotifyState::Ready]);
    }

    /// The relay shuts down.
    pub fn stopping(&self, reason: &str) {
        self.notify(&[NotifyState::Stopping, NotifyState::Status(&one_line(reason))]);
    }

    fn runtimes(&self) -> Vec<Handle> {
        self.0.runtimes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn notify(&self, state: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(state) {
            self.failed(&error);
        }
    }

    fn failed(&self, error: &io::Error) {
        if !self.0.has_failed.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "cannot notify the service manager (NOTIFY_SOCKET)");
        }
    }
}

/// Whether a thread of each runtime runs a task within this time. A runtime that has been shut down counts: a relay
/// that restarts has another one.
async fn run_a_task(runtimes: &[Handle], within: Duration) -> bool {
    let run = async {
        for runtime in runtimes {
            // An error is that of a runtime that has been shut down.
            drop(runtime.spawn(async {}).await);
        }
    };
    timeout(within, run).await.is_ok()
}

/// "healthy, block 840000", "degraded, block 840000: the first problem (2 more: GET /health)".
fn status_line(status: &Status) -> String {
    let (condition, problems) = status.condition();
    let tip = status
        .tip()
        .map_or_else(|| "no block yet".to_owned(), |tip| format!("block {tip}"));
    let condition = condition.as_str();
    one_line(&match problems.as_slice() {
        [] => format!("{condition}, {tip}"),
        [problem] => format!("{condition}, {tip}: {problem}"),
        [problem, more @ ..] => format!("{condition}, {tip}: {problem} ({} more: GET /health)", more.len()),
    })
}

/// A text without line ends, which would begin another field of the notification: a problem may have text of the node.
fn one_line(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.truncate(line.floor_char_boundary(STATUS_LENGTH));
    line
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn blocked_threads_run_no_task() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        let runtimes = [runtime.handle().clone()];
        assert!(run_a_task(&runtimes, Duration::from_secs(60)).await);
        let (blocked, is_blocked) = mpsc::sync_channel(1);
        let (release, released) = mpsc::sync_channel::<()>(1);
        runtime.spawn(async move {
            blocked.send(()).unwrap();
            assert!(released.recv().is_err());
        });
        is_blocked.recv().unwrap();
        assert!(!run_a_task(&runtimes, Duration::from_millis(50)).await);
        drop(release);
        assert!(run_a_task(&runtimes, Duration::from_secs(60)).await);
        runtime.shutdown_background();
        assert!(run_a_task(&runtimes, Duration::from_secs(60)).await);
    }

    #[test]
    fn a_status_is_one_short_line() {
        assert_eq!(one_line("a node's\nREADY=1\r\u{1b}"), "a node's READY=1  ");
        assert_eq!(one_line(&"é".repeat(STATUS_LENGTH)).len(), STATUS_LENGTH);
    }
}
