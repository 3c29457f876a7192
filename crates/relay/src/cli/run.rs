//! `sdk_relay run`: until a signal ends it.

use std::sync::Arc;

use anyhow::{Context, bail};
use sdk_relay_bip352::Fast;
use sdk_relay_protocol::CloseCode;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::welcome;
use crate::config::{Config, Loader, Overrides};
use crate::index::AboveBars;
use crate::ops::LogTap;
use crate::relay::Relay;
use crate::{SOFTWARE_VERSION, cli::source, open_files};

/// Runs the relay on a runtime of its own.
pub(super) fn run(overrides: Overrides) -> anyhow::Result<()> {
    let loader = Loader::new(overrides);
    let config = loader.load()?;
    let log = Log::to_stderr(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    runtime.block_on(keep_running(loader, config, log))
}

/// Runs relays one after the other, for as long as restarts are asked for.
async fn keep_running(loader: Loader, mut config: Config, log: Log) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let mut before: Option<Config> = None;
    loop {
        open_files::raise(&config);
        tracing::info!(
            version = SOFTWARE_VERSION,
            network = %config.network,
            source = source(&config),
            scanner = Fast::new().name(),
            "starting"
        );
        let relay = match (
            Relay::start(loader.clone(), config.clone(), log.tap.clone()).await,
            before.take(),
        ) {
            (Ok(relay), _) => relay,
            (Err(error), None) => return Err(error),
            // After a restart, a relay on the old configuration is worth more than none.
            (Err(error), Some(old)) => {
                let error = format!("{error:#}");
                tracing::error!(
                    error,
                    "the relay cannot start with the new configuration and goes on with the old one"
                );
                Relay::start(loader.clone(), old, log.tap.clone()).await?
            }
        };
        match serve(relay, &mut signals).await? {
            End::Signal => return Ok(()),
            End::Restart(new, old) => {
                log.level(&new);
                config = *new;
                before = Some(*old);
            }
        }
    }
}

/// How a relay ended.
enum End {
    Signal,
    /// To be started anew with the first configuration; the second is what it ran with.
    Restart(Box<Config>, Box<Config>),
}

async fn serve(mut relay: Relay, signals: &mut Signals) -> anyhow::Result<End> {
    let (ws, http) = (relay.ws_addr(), relay.http_addr());
    let cx = Arc::clone(relay.context());
    tracing::info!(%ws, %http, address = cx.address, "listening");
    let mut ready = false;
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::End(signal) => {
                    tracing::info!(signal, "shutting down");
                    relay.shut_down(CloseCode::GoingAway).await;
                    tracing::info!("bye");
                    return Ok(End::Signal);
                }
                Signal::Reload => reload_certificate(&relay),
            },
            () = cx.ready(), if !ready => {
                ready = true;
                tracing::info!(%ws, %http, "ready");
                if cx.config().standalone {
                    super::say(&welcome::text(&cx.address, ws, http, relay.certificate()));
                }
            }
            restart_id = cx.restart.asked() => match cx.settings.reload() {
                Ok(new) => {
                    tracing::info!(restart_id, "restarting");
                    let old = cx.settings.started_with().clone();
                    relay.shut_down(CloseCode::Restart).await;
                    return Ok(End::Restart(Box::new(new), Box::new(old)));
                }
                Err(error) => {
                    tracing::error!(%error, restart_id, "no restart: the configuration is wrong");
                    cx.restart.refused();
                }
            },
            // Without one of its parts the relay would only pretend: better to be started anew by whoever supervises it.
            what = relay.failed() => {
                tracing::error!("{what}");
                relay.shut_down(CloseCode::Server).await;
                bail!("{what}: please report this")
            }
        }
    }
}

fn reload_certificate(relay: &Relay) {
    match relay.reload_certificate() {
        Ok(true) => {}
        Ok(false) => tracing::info!("SIGHUP: there is no certificate to read anew"),
        Err(error) => tracing::error!(%error, "SIGHUP: the new certificate is wrong, and the old one stays"),
    }
}

/// What a signal asks for.
enum Signal {
    /// The end, by the signal of this name.
    End(&'static str),
    /// To read the certificate anew.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no SIGHUP"))]
    Reload,
}

/// The signals that mean something to the relay.
#[cfg(unix)]
struct Signals {
    hangup: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.interrupt.recv() => Signal::End("SIGINT"),
            _ = self.terminate.recv() => Signal::End("SIGTERM"),
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        // Without a handler there is nothing to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::End("Ctrl-C")
    }
}

/// The log: lines on standard error, and what the relay itself remembers of it. Its level can be changed.
struct Log {
    tap: LogTap,
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Log {
    fn to_stderr(config: &Config) -> anyhow::Result<Self> {
        use std::io::IsTerminal;
        let tap = LogTap::default();
        let (filter, handle) = reload::Layer::new(EnvFilter::try_new(&config.log_level).context("log.level")?);
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(|| AboveBars)
            .with_ansi(std::io::stderr().is_terminal());
        let lines = if config.log_json {
            lines.json().boxed()
        } else {
            lines.boxed()
        };
        tracing_subscriber::registry()
            .with(filter)
            .with(tap.clone())
            .with(lines)
            .try_init()
            .context("the log")?;
        Ok(Self { tap, filter: handle })
    }

    fn level(&self, config: &Config) {
        if let Ok(filter) = EnvFilter::try_new(&config.log_level)
            && let Err(error) = self.filter.reload(filter)
        {
            tracing::error!(%error, "log.level stays as it was");
        }
    }
}
