//! `sdk_relay run`: until a signal ends it.

use anyhow::{Context, bail};
use sdk_relay_protocol::CloseCode;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;

use super::welcome;
use crate::config::{self, Config, Overrides};
use crate::ops::ErrorTally;
use crate::relay::Relay;
use crate::{SOFTWARE_VERSION, cli::source};

/// Runs the relay on a runtime of its own.
pub(super) fn run(overrides: &Overrides) -> anyhow::Result<()> {
    let config = config::load(overrides)?;
    let errors = ErrorTally::default();
    log_to_stderr(&config, errors.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    runtime.block_on(relay(config, errors))
}

async fn relay(config: Config, errors: ErrorTally) -> anyhow::Result<()> {
    tracing::info!(version = SOFTWARE_VERSION, network = %config.network, source = source(&config), "starting");
    let standalone = config.standalone;
    let mut ends = Signals::new()?;
    let mut relay = Relay::start(config, errors).await?;
    let (ws, http) = (relay.ws_addr(), relay.http_addr());
    tracing::info!(ws = %ws, http = %http, address = relay.context().address, "listening");
    tokio::select! {
        name = ends.next() => return leave(relay, name).await,
        () = relay.ready() => {}
    }
    tracing::info!(ws = %ws, http = %http, "ready");
    if standalone {
        super::say(&welcome::text(&relay.context().address, ws, http));
    }
    tokio::select! {
        name = ends.next() => leave(relay, name).await,
        // Without one of its parts the relay would only pretend: better to be started anew by whoever supervises it.
        what = relay.failed() => {
            tracing::error!("{what}");
            relay.shut_down(CloseCode::Server).await;
            bail!("{what}: please report this")
        }
    }
}

async fn leave(relay: Relay, signal: &str) -> anyhow::Result<()> {
    tracing::info!(signal, "shutting down");
    relay.shut_down(CloseCode::GoingAway).await;
    tracing::info!("bye");
    Ok(())
}

/// The signals that end the relay.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
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

    async fn next(&mut self) -> &'static str {
        // Without a handler there is nothing to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}

fn log_to_stderr(config: &Config, errors: ErrorTally) -> anyhow::Result<()> {
    use std::io::IsTerminal;
    let filter = EnvFilter::try_new(&config.log_level).context("log.level")?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = if config.log_json {
        lines.json().boxed()
    } else {
        lines.boxed()
    };
    tracing_subscriber::registry()
        .with(errors)
        .with(lines.with_filter(filter))
        .try_init()
        .context("the log")?;
    Ok(())
}
