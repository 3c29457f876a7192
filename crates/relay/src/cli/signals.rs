//! Signals, on a thread of their own: whatever the relay is busy with or stuck in, the second one that asks for the end
//! ends the process.

use std::time::Duration;

use anyhow::Context;
use sdk_relay_supervisor::Supervisor;
use tokio::sync::mpsc;

/// A process whose part has failed ends within a second: its clients get most of it to be closed in order.
pub(super) const FAILURE_ENDS_WITHIN: Duration = Duration::from_millis(900);
/// Signals that the relay has not taken yet. More of them ask for nothing new.
const AHEAD: usize = 4;

/// What a signal asks for.
pub(super) enum Signal {
    /// The end, by the signal of this name.
    End(&'static str),
    /// To read the certificate anew.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no SIGHUP"))]
    Reload,
}

/// The signals that mean something to the relay.
pub(super) struct Signals {
    asked: mpsc::Receiver<Signal>,
    guarded: mpsc::Sender<Supervisor>,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Self> {
        let (sender, asked) = mpsc::channel(AHEAD);
        let (guarded, supervisors) = mpsc::channel(AHEAD);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let sources = {
            let _inside = runtime.enter();
            Sources::new().context("cannot listen for signals")?
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(watch(sources, sender, supervisors)))
            .context("cannot start the thread for signals")?;
        Ok(Self { asked, guarded })
    }

    /// The next one. Cancelling it loses nothing.
    pub(super) async fn next(&mut self) -> Signal {
        match self.asked.recv().await {
            Some(signal) => signal,
            // The thread has failed: without it nobody could end the relay in order.
            None => Signal::End("the end of the thread for signals"),
        }
    }

    /// From now on the process ends within a second after a part of this relay has failed, whatever else goes on.
    pub(super) async fn guard(&self, supervisor: &Supervisor) -> anyhow::Result<()> {
        let sent = self.guarded.send(supervisor.clone()).await;
        sent.ok().context("the thread for signals has ended")
    }
}

async fn watch(mut sources: Sources, sender: mpsc::Sender<Signal>, mut supervisors: mpsc::Receiver<Supervisor>) {
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
                if let Err(mpsc::error::TrySendError::Closed(_)) = sender.try_send(signal) {
                    return;
                }
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
