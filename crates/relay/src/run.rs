//! `sdk_relay run`: runs relays until a signal ends the process.

use std::fmt::Display;
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, bail};
use sdk_relay_bip352::Engine;
use sdk_relay_cli::{source, with_causes};
use sdk_relay_config::{Config, Loader, Overrides};
use sdk_relay_console::{Log, log_panic, say_if_possible, say_warning, welcome};
use sdk_relay_protocol::CloseCode;
use sdk_relay_supervisor::service_manager::ServiceManager;
use sdk_relay_supervisor::signals::{FAILURE_ENDS_WITHIN, Signal, Signals};
use sdk_relay_telemetry::SOFTWARE_VERSION;
use sdk_relay_transport::{Ports, http_runtime, open_files};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::relay::Relay;
use crate::timeouts::Timeouts;

/// Timeout of blocking work of the runtime at the end of the process.
const RUNTIME_ENDS_WITHIN: Duration = Duration::from_secs(1);
/// The line `ready` waits this long for the first attempt to connect to the node's ZMQ publisher, which takes some
/// milliseconds if there is one.
const EVENT_SOURCE_WITHIN: Duration = Duration::from_millis(500);
/// Threads that a relay needs besides those that depend on the machine and the configuration: signals, detection, the
/// express scan, the log, and blocking disk access.
const FURTHER_THREADS: usize = 6;

/// Runs the relay on its own runtime.
pub fn run(overrides: Overrides) -> anyhow::Result<()> {
    run_with(overrides, None, Timeouts::default())
}

/// The same; uses `engine`, if given, instead of the configured one, and these time limits.
pub fn run_with(overrides: Overrides, engine: Option<Arc<dyn Engine>>, timeouts: Timeouts) -> anyhow::Result<()> {
    let loader = Loader::new(overrides);
    let config = loader.load().inspect_err(|_| {
        // Perhaps the cause: a misspelt variable. There is no log yet.
        loader.unknown_variables().iter().for_each(say_warning);
    })?;
    let log = Log::to_stderr(&config)?;
    // With RUST_BACKTRACE, the default hook prints the backtrace.
    if std::env::var_os("RUST_BACKTRACE").is_none_or(|wanted| wanted == "0") {
        std::panic::set_hook(Box::new(log_panic));
    }
    warn(loader.unknown_variables());
    warn(config.warnings());
    // Before the runtime, which opens files of its own.
    open_files::check()?;
    let workers = available_parallelism().map_or(1, NonZero::get);
    // As many again scan for watches.
    let scanning = workers + config.index.map_or(0, |index| index.scan_threads);
    threads_are_there(workers + scanning + http_runtime::THREADS + FURTHER_THREADS)
        .context("the system refuses threads: raise its limit (systemd: TasksMax=, a shell: ulimit -u)")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let ended = runtime.block_on(keep_running(loader, config, log, engine, timeouts));
    // Not by dropping it, which would wait indefinitely for a thread that is blocked on a disk.
    runtime.shutdown_timeout(RUNTIME_ENDS_WITHIN);
    ended
}

/// Reports probable mistakes in the configuration: in the log or, if its filter hides warnings, on standard error.
fn warn(warnings: impl IntoIterator<Item = impl Display>) {
    for warning in warnings {
        if tracing::enabled!(tracing::Level::WARN) {
            tracing::warn!("{warning}");
        } else {
            say_warning(warning);
        }
    }
}

/// Checks that the system allows this many threads, because the runtime panics if it does not.
fn threads_are_there(count: usize) -> std::io::Result<()> {
    let gate = Mutex::new(());
    std::thread::scope(|scope| {
        let _closed = gate.lock();
        for _ in 0..count {
            std::thread::Builder::new().spawn_scoped(scope, || drop(gate.lock()))?;
        }
        Ok(())
    })
}

/// Runs the relay, and restarts it on request.
async fn keep_running(
    loader: Loader,
    mut config: Config,
    log: Log,
    engine: Option<Arc<dyn Engine>>,
    timeouts: Timeouts,
) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let manager = ServiceManager::from_environment();
    // Of the process, not of a relay: a restart is no reason to miss a ping.
    let _watchdog = manager.start_watchdog();
    let mut before: Option<Config> = None;
    let ports = Ports::default();
    loop {
        open_files::raise(&config);
        tracing::info!(
            version = SOFTWARE_VERSION,
            network = %config.network,
            source = source(&config),
            scanner = engine.as_ref().map_or_else(|| config.scanner.name(), |engine| engine.name()),
            "starting"
        );
        let start = |config: &Config| {
            let engine = engine.clone().unwrap_or_else(|| Arc::new(config.scanner));
            let (loader, config, log, ports) = (loader.clone(), config.clone(), log.tap().clone(), ports.clone());
            let start = async move { Relay::start_with(loader, config, log, engine, &ports, timeouts).await };
            // On a separate task: parts of it block on the disk, and a signal must end it nevertheless.
            AbortOnDropHandle::new(tokio::spawn(start))
        };
        let Some(started) = unless_ended(start(&config), &mut signals, &manager).await else {
            return Ok(());
        };
        let relay = match (started, before.take()) {
            (Ok(relay), _) => relay,
            (Err(error), None) => return Err(error),
            // After a failed restart, fall back to the old configuration.
            (Err(error), Some(old)) => {
                let error = with_causes(&error);
                log.level(&old);
                tracing::error!(
                    error,
                    "the relay cannot start with the new configuration; returning to the old one"
                );
                let Some(started) = unless_ended(start(&old), &mut signals, &manager).await else {
                    return Ok(());
                };
                let relay = started.context("the relay cannot start with the previous configuration either")?;
                relay.restart().give_up(error);
                relay.settings().keep_pending(config.clone());
                relay
            }
        };
        signals.guard(relay.supervisor()).await?;
        match serve(relay, &mut signals, &log, &manager).await? {
            End::Signal => return Ok(()),
            End::Restart(new, old) => {
                log.level(&new);
                warn(new.warnings());
                config = *new;
                before = Some(*old);
            }
        }
    }
}

/// Waits for the relay to start. `None`: a signal requested the shutdown first.
async fn unless_ended(
    mut start: AbortOnDropHandle<anyhow::Result<Relay>>,
    signals: &mut Signals,
    manager: &ServiceManager,
) -> Option<anyhow::Result<Relay>> {
    loop {
        tokio::select! {
            started = &mut start => return Some(started.context("the start panicked").flatten()),
            signal = signals.next() => if let Signal::End(signal) = signal {
                tracing::info!(signal, "shutting down during the start");
                manager.stopping("shutting down during the start");
                // What it has started ends with it, before the runtime does: a part that ends alone is an error.
                start.abort();
                if timeout(RUNTIME_ENDS_WITHIN, start).await.is_err() {
                    tracing::warn!("exiting before the start has ended");
                }
                return None;
            },
        }
    }
}

/// How a relay ended.
enum End {
    Signal,
    /// Restart with the first configuration; the second is the one that it ran with.
    Restart(Box<Config>, Box<Config>),
}

async fn serve(relay: Relay, signals: &mut Signals, log: &Log, manager: &ServiceManager) -> anyhow::Result<End> {
    let (ws, http) = (relay.ws_addr(), relay.http_addr());
    let grpc = relay.grpc_addr().map(tracing::field::display);
    let (status, restart, settings) = (
        relay.status().clone(),
        Arc::clone(relay.restart()),
        Arc::clone(relay.settings()),
    );
    let address = relay.identity().address.clone();
    tracing::info!(%ws, %http, grpc, address = address.as_deref(), "listening");
    // Not later: while the node is unavailable, clients connect and read the log.
    manager.ready([relay.http_runtime().clone()].into(), &status);
    relay
        .supervisor()
        .task("service manager", manager.clone().report(status.clone()));
    let mut ready = false;
    let mut changes = settings.watch();
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::End(signal) => {
                    tracing::info!(signal, "shutting down");
                    manager.stopping("shutting down");
                    relay.shut_down(CloseCode::GoingAway).await;
                    tracing::info!("shutdown complete");
                    return Ok(End::Signal);
                }
                Signal::Reload => manager.reloading(reload(&relay)).await,
            },
            Ok(()) = changes.changed() => log.level(&settings.now()),
            () = status.ready(), if !ready => {
                ready = true;
                let events = status.event_source_within(EVENT_SOURCE_WITHIN).await.as_str();
                tracing::info!(%ws, %http, grpc, events, "ready");
                if settings.now().standalone {
                    say_if_possible(&welcome(address.as_deref(), ws, http, relay.certificate()));
                }
            }
            restart_id = restart.requested() => match settings.reload() {
                Ok(new) => {
                    tracing::info!(restart_id, "restarting");
                    manager.status("restarting");
                    let old = settings.started_with().clone();
                    relay.shut_down(CloseCode::Restart).await;
                    return Ok(End::Restart(Box::new(new), Box::new(old)));
                }
                Err(error) => {
                    // In the log and in the status an error is one line.
                    let error = error.to_string().replace("\n  ", " ");
                    tracing::error!(error, restart_id, "restart refused: the configuration is invalid");
                    restart.give_up(error);
                }
            },
            // A relay with a failed part cannot serve: exit, so that the service manager restarts it.
            failure = relay.failed() => {
                manager.status(&format!("{failure}: the process is exiting"));
                if timeout(FAILURE_ENDS_WITHIN / 2, relay.shut_down(CloseCode::Server)).await.is_err() {
                    tracing::warn!("exiting before all connections and tasks have ended");
                }
                bail!("{failure}: please report this bug")
            }
        }
    }
}

/// SIGHUP: reads the certificate and `log.level` again.
async fn reload(relay: &Relay) {
    if let Err(error) = relay.reload_certificate() {
        tracing::error!(%error, "SIGHUP: the new certificate cannot be used; keeping the old one");
    }
    match relay.settings().reload_log_level().await {
        Ok(Some(level)) => tracing::info!(level, "SIGHUP: log.level has changed"),
        Ok(None) => tracing::info!("SIGHUP: log.level is the same as before"),
        Err(error) => {
            let error = error.to_string().replace("\n  ", " ");
            tracing::error!(error, "SIGHUP: the configuration is invalid; keeping the old log.level");
        }
    }
}
