//! Signals, received on a thread of their own: the second one that requests the end exits the process, also where the
//! relay's own threads are all blocked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};

use crate::Supervisor;

/// The process exits this long after a part has failed. Until then the relay closes its connections in order.
pub const FAILURE_ENDS_WITHIN: Duration = Duration::from_millis(900);
/// Supervisors that wait for the thread: each restart brings one.
const QUEUED: usize = 4;

/// What a signal requests.
#[derive(Debug, PartialEq, Eq)]
pub enum Signal {
    /// The end, by the signal of this name.
    End(&'static str),
    /// To reload the certificate (`SIGHUP`).
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no SIGHUP"))]
    Reload,
}

/// The signals that the relay handles: `SIGHUP`, `SIGINT`, `SIGTERM`; Ctrl-C where there are none.
pub struct Signals {
    requests: Arc<Requests>,
    end: watch::Receiver<Option<&'static str>>,
    guarded: mpsc::Sender<Supervisor>,
}

impl Signals {
    /// Starts the thread.
    pub fn new() -> Result<Self, SignalsError> {
        let (requests, end) = Requests::new();
        let (guarded, supervisors) = mpsc::channel(QUEUED);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(SignalsError::Thread)?;
        let sources = {
            let _inside = runtime.enter();
            Sources::new().map_err(SignalsError::Handler)?
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn({
                let requests = Arc::clone(&requests);
                move || runtime.block_on(watch(sources, requests, supervisors))
            })
            .map_err(SignalsError::Thread)?;
        Ok(Self { requests, end, guarded })
    }

    /// Waits for the next one. Cancel-safe.
    pub async fn next(&mut self) -> Signal {
        let thread_ends = self.guarded.closed();
        tokio::select! {
            biased;
            signal = self.requests.next(&mut self.end) => signal,
            // The thread has failed: no later signal would end the relay in order.
            () = thread_ends => Signal::End("the end of the thread for signals"),
        }
    }

    /// From now on the process exits within a second after a part of this relay has failed.
    pub async fn guard(&self, supervisor: &Supervisor) -> Result<(), SignalsError> {
        let sent = self.guarded.send(supervisor.clone()).await;
        sent.map_err(|_| SignalsError::Ended)
    }
}

/// What the signals have requested and the relay has not yet taken. While it restarts it takes nothing: the end is kept
/// until it does, however many other signals arrive, and several reloads are one.
struct Requests {
    end: watch::Sender<Option<&'static str>>,
    reload: Notify,
}

impl Requests {
    fn new() -> (Arc<Self>, watch::Receiver<Option<&'static str>>) {
        let (end, ends) = watch::channel(None);
        let reload = Notify::new();
        (Arc::new(Self { end, reload }), ends)
    }

    fn add(&self, signal: &Signal) {
        match signal {
            Signal::End(name) => drop(self.end.send_replace(Some(name))),
            Signal::Reload => self.reload.notify_one(),
        }
    }

    async fn next(&self, end: &mut watch::Receiver<Option<&'static str>>) -> Signal {
        tokio::select! {
            biased;
            // The sender is in `self`.
            Ok(name) = end.wait_for(Option::is_some) => Signal::End(name.unwrap_or_default()),
            () = self.reload.notified() => Signal::Reload,
        }
    }
}

/// Why signals are not handled.
#[derive(Debug, thiserror::Error)]
pub enum SignalsError {
    /// The system refuses the handler.
    #[error("cannot handle signals: {0}")]
    Handler(std::io::Error),
    /// The system refuses the thread, or what its runtime needs.
    #[error("cannot start the thread for signals: {0}")]
    Thread(std::io::Error),
    /// It has panicked.
    #[error("the thread for signals has ended")]
    Ended,
}

async fn watch(mut sources: Sources, requests: Arc<Requests>, mut supervisors: mpsc::Receiver<Supervisor>) {
    let mut supervisor: Option<Supervisor> = None;
    let mut is_ending = false;
    loop {
        let failed = async {
            match &supervisor {
                Some(supervisor) => supervisor.failed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(new) = supervisors.recv() => supervisor = Some(new),
            _ = failed => {
                tokio::select! {
                    () = tokio::time::sleep(FAILURE_ENDS_WITHIN) => {}
                    () = sources.end() => {}
                }
                std::process::exit(1);
            }
            (signal, code) = sources.next() => {
                if let Signal::End(name) = signal {
                    if is_ending {
                        tracing::warn!(signal = name, "exiting immediately");
                        std::process::exit(code);
                    }
                    is_ending = true;
                }
                requests.add(&signal);
            }
        }
    }
}

#[cfg(unix)]
struct Sources {
    hangup: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Sources {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The signal, and the exit code of a process that it ends.
    async fn next(&mut self) -> (Signal, i32) {
        tokio::select! {
            _ = self.hangup.recv() => (Signal::Reload, 129),
            _ = self.interrupt.recv() => (Signal::End("SIGINT"), 130),
            _ = self.terminate.recv() => (Signal::End("SIGTERM"), 143),
        }
    }

    async fn end(&mut self) {
        while let (Signal::Reload, _) = self.next().await {}
    }
}

#[cfg(not(unix))]
struct Sources;

#[cfg(not(unix))]
impl Sources {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> (Signal, i32) {
        // Without a handler there is nothing to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        (Signal::End("Ctrl-C"), 130)
    }

    async fn end(&mut self) {
        self.next().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_comes_first_and_is_never_lost_among_others() {
        let (requests, mut end) = Requests::new();
        for _ in 0..100 {
            requests.add(&Signal::Reload);
        }
        requests.add(&Signal::End("SIGTERM"));
        for _ in 0..100 {
            requests.add(&Signal::Reload);
        }
        assert_eq!(requests.next(&mut end).await, Signal::End("SIGTERM"));
    }

    #[tokio::test]
    async fn reloads_that_wait_are_one() {
        let (requests, mut end) = Requests::new();
        for _ in 0..100 {
            requests.add(&Signal::Reload);
        }
        assert_eq!(requests.next(&mut end).await, Signal::Reload);
        let second = tokio::time::timeout(Duration::ZERO, requests.next(&mut end)).await;
        assert!(second.is_err(), "{second:?}");
    }
}
