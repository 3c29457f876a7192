//! The owner of the relay's tasks and threads.
//!
//! Each has a name. None of them may end while the relay serves: the end or the panic of one is logged, makes `/health`
//! critical, and ends the relay ([`Supervisor::failed`]), because a relay cannot serve without all of its parts.
//! Connections are owned too, and may end: a panic in one is logged and ends only that connection, so that no client
//! can end the relay for others.

pub mod service_manager;
pub mod signals;

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sdk_relay_detect::{SpawnThread, ThreadWork};
use sdk_relay_platform::simulation;
use sdk_relay_service::Failure;
use sdk_relay_transport::SpawnConnection;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A panic closes the channels of a part, and dependent parts end: their end may be reported before the panic.
const CAUSE_TIMEOUT: Duration = Duration::from_millis(50);

/// Owns the tasks and threads of one relay. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Supervisor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    failure: watch::Sender<Option<Failure>>,
    /// The relay is shutting down: parts may end.
    stopping: AtomicBool,
    stop: CancellationToken,
    parts: TaskTracker,
    connections: TaskTracker,
    /// Aborts the remaining connections.
    cut: CancellationToken,
    running: Mutex<BTreeMap<u64, &'static str>>,
    next: AtomicU64,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self(Arc::new(Shared {
            failure: watch::Sender::new(None),
            stopping: AtomicBool::new(false),
            stop: CancellationToken::new(),
            parts: TaskTracker::new(),
            connections: TaskTracker::new(),
            cut: CancellationToken::new(),
            running: Mutex::default(),
            next: AtomicU64::new(0),
        }))
    }
}

impl SpawnConnection for Supervisor {
    fn spawn(&self, connection: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.connection(connection);
    }
}

impl SpawnThread for Supervisor {
    fn spawn_thread(&self, name: &'static str, work: ThreadWork) -> io::Result<()> {
        if simulation::is_active() {
            self.task(name, work);
            return Ok(());
        }
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        self.thread(name, move || runtime.block_on(work))
    }
}

impl Supervisor {
    /// Runs a task until [`Self::stop`].
    pub fn task(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.task_on(None, name, task);
    }

    /// The same on another runtime.
    pub fn task_on(
        &self,
        runtime: Option<&Handle>,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let (part, stop) = (self.part(name), self.0.stop.clone());
        let task = async move {
            // Dropped last, even if the task panics: it reports the end.
            let _part = part;
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = task => {}
            }
        };
        match runtime {
            Some(runtime) => self.0.parts.spawn_on(task, runtime),
            None => self.0.parts.spawn(task),
        };
    }

    /// Runs a thread, which has its own stop signal.
    pub fn thread(&self, name: &'static str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let (part, token) = (self.part(name), self.0.parts.token());
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _token = token;
            let _part = part;
            work();
        })?;
        Ok(())
    }

    /// Runs a client's connection.
    pub fn connection(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let cut = self.0.cut.clone();
        self.0.connections.spawn(async move {
            let _guard = ConnectionGuard;
            tokio::select! {
                () = cut.cancelled() => {}
                () = connection => {}
            }
        });
    }

    /// Connections now.
    pub fn connections(&self) -> usize {
        self.0.connections.len()
    }

    /// Accepts no more connections, and waits for the end of the existing ones; `false`: they did not end in time.
    pub async fn drain(&self, within: Duration) -> bool {
        self.0.connections.close();
        timeout(within, self.0.connections.wait()).await.is_ok()
    }

    /// Aborts the remaining connections; `false`: one of them is not at an await point.
    pub async fn cut_connections(&self, within: Duration) -> bool {
        self.0.cut.cancel();
        timeout(within, self.0.connections.wait()).await.is_ok()
    }

    /// Reports the failure of a part that is not a task or thread of the supervisor.
    pub fn fail(&self, failure: Failure) {
        if self.0.stopping.load(Ordering::Acquire) {
            return;
        }
        tracing::error!(
            part = failure.part,
            panicked = failure.panicked,
            "{failure}: the process is exiting"
        );
        self.0.failure.send_if_modified(|known| {
            let is_news = known.as_ref().is_none_or(|known| failure.panicked && !known.panicked);
            if is_news {
                *known = Some(failure);
            }
            is_news
        });
    }

    /// The part that failed first; a panicked one takes precedence over an ended one, which may be a consequence.
    pub fn failure(&self) -> Option<Failure> {
        self.0.failure.borrow().clone()
    }

    /// [`Self::failure`], and each change of it.
    pub fn failures(&self) -> watch::Receiver<Option<Failure>> {
        self.0.failure.subscribe()
    }

    /// Waits until a part fails.
    pub async fn failed(&self) -> Failure {
        let mut failure = self.0.failure.subscribe();
        let mut wait_for = async |predicate: fn(&Failure) -> bool| {
            let found = failure
                .wait_for(|failure| failure.as_ref().is_some_and(predicate))
                .await;
            found.ok().and_then(|failure| failure.clone())
        };
        let first = wait_for(|_| true).await;
        let cause = timeout(CAUSE_TIMEOUT, wait_for(|failure| failure.panicked)).await;
        match cause.ok().flatten().or(first) {
            Some(failure) => failure,
            // `self` owns the sender.
            None => std::future::pending().await,
        }
    }

    /// Allows parts to end from now on.
    pub fn begin_stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    /// Ends all tasks when it is dropped, unless the start succeeds: an abandoned start is not a failure of its parts.
    pub fn start_guard(&self) -> StartGuard {
        StartGuard(Some(self.clone()))
    }

    /// Aborts all tasks without waiting.
    pub fn abandon(&self) {
        self.begin_stop();
        self.0.stop.cancel();
    }

    /// Ends all tasks, and waits for them and for the threads, which were notified before. Returns the names of those
    /// that did not end in time.
    pub async fn stop(&self, within: Duration) -> Vec<&'static str> {
        self.abandon();
        self.0.parts.close();
        if timeout(within, self.0.parts.wait()).await.is_ok() {
            return Vec::new();
        }
        self.running().values().copied().collect()
    }

    fn part(&self, name: &'static str) -> Part {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.running().insert(number, name);
        Part {
            supervisor: self.clone(),
            number,
            name,
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<u64, &'static str>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Guard of a running part.
struct Part {
    supervisor: Supervisor,
    number: u64,
    name: &'static str,
}

impl Drop for Part {
    fn drop(&mut self) {
        self.supervisor.running().remove(&self.number);
        self.supervisor.fail(Failure {
            part: self.name,
            panicked: std::thread::panicking(),
        });
    }
}

struct ConnectionGuard;

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a connection panicked and was closed: please report this bug");
        }
    }
}

/// See [`Supervisor::start_guard`].
#[derive(Debug)]
pub struct StartGuard(Option<Supervisor>);

impl StartGuard {
    /// The start has succeeded.
    pub fn started(mut self) {
        self.0 = None;
    }
}

impl Drop for StartGuard {
    fn drop(&mut self) {
        if let Some(supervisor) = &self.0 {
            supervisor.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    async fn failure(supervisor: &Supervisor) -> Failure {
        timeout(SOON, supervisor.failed()).await.expect("a failure")
    }

    fn ended(part: &'static str, panicked: bool) -> Failure {
        Failure { part, panicked }
    }

    #[tokio::test]
    async fn an_abandoned_start_is_no_failure_of_its_parts() {
        let supervisor = Supervisor::default();
        supervisor.task("lasting", std::future::pending());
        drop(supervisor.start_guard());
        assert_eq!(supervisor.stop(SOON).await, Vec::<&str>::new());
        assert_eq!(supervisor.failure(), None);

        let supervisor = Supervisor::default();
        supervisor.start_guard().started();
        supervisor.task("task", async {});
        assert_eq!(failure(&supervisor).await, ended("task", false));
    }

    #[tokio::test]
    async fn the_end_and_the_panic_of_a_task_or_thread_are_noticed_by_name() {
        let supervisor = Supervisor::default();
        supervisor.task("task", async {});
        assert_eq!(failure(&supervisor).await, ended("task", false));

        let supervisor = Supervisor::default();
        supervisor.task("lasting", std::future::pending());
        supervisor.task("panics", async { panic!("a test") });
        assert_eq!(failure(&supervisor).await, ended("panics", true));
        supervisor.task("later", async {});
        assert_eq!(supervisor.stop(SOON).await, Vec::<&str>::new());
        assert_eq!(supervisor.failure(), Some(ended("panics", true)), "the cause is kept");

        let supervisor = Supervisor::default();
        supervisor.fail(ended("consequence", false));
        supervisor.fail(ended("cause", true));
        assert_eq!(failure(&supervisor).await, ended("cause", true));

        let supervisor = Supervisor::default();
        supervisor.thread("thread", || {}).unwrap();
        assert_eq!(failure(&supervisor).await, ended("thread", false));

        let supervisor = Supervisor::default();
        supervisor.thread("panics", || panic!("a test")).unwrap();
        assert_eq!(failure(&supervisor).await, ended("panics", true));
    }

    #[tokio::test]
    async fn an_end_during_the_shutdown_is_no_failure_and_a_hanging_part_is_named() {
        let supervisor = Supervisor::default();
        let (end, ends) = std::sync::mpsc::sync_channel::<()>(1);
        supervisor.task("lasting", std::future::pending());
        supervisor
            .thread("stuck", move || assert!(ends.recv().is_err()))
            .unwrap();
        assert_eq!(supervisor.stop(Duration::from_millis(50)).await, ["stuck"]);
        drop(end);
        assert_eq!(supervisor.stop(SOON).await, Vec::<&str>::new());
        assert_eq!(supervisor.failure(), None);
    }

    #[tokio::test]
    async fn a_panic_ends_only_its_connection() {
        let supervisor = Supervisor::default();
        supervisor.connection(async { panic!("a test") });
        assert!(supervisor.drain(SOON).await);
        assert_eq!(supervisor.failure(), None);
    }
}
