//! The log of the process.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};

use sdk_relay_config::Config;
use sdk_relay_telemetry::LogTap;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::prelude::*;
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::progress::AboveBars;

/// Why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level of the configuration cannot be parsed.
    #[error("log.level")]
    Level(#[from] ParseError),
    /// Logging is already set up.
    #[error("cannot set up logging")]
    SetUp(#[from] TryInitError),
}

/// The log: lines on standard error, and the ring of `GET /logs`. Its level can be changed.
#[derive(Debug)]
pub struct Log {
    tap: LogTap,
    filter: reload::Handle<EnvFilter, Registry>,
    level: Mutex<String>,
}

impl Log {
    /// Sets up the log of the process.
    pub fn to_stderr(config: &Config) -> Result<Self, LogError> {
        let tap = LogTap::default();
        let (filter, handle) = reload::Layer::new(EnvFilter::try_new(&config.log_level)?);
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(|| AboveBars)
            .with_ansi(io::stderr().is_terminal())
            // It would print its own failures to standard error, and panic if that is closed.
            .log_internal_errors(false);
        let lines = if config.log_json {
            lines.json().boxed()
        } else {
            lines.boxed()
        };
        tracing_subscriber::registry()
            .with(filter)
            .with(tap.clone())
            .with(lines)
            .try_init()?;
        Ok(Self {
            tap,
            filter: handle,
            level: Mutex::new(config.log_level.clone()),
        })
    }

    /// The ring of `GET /logs`.
    pub fn tap(&self) -> &LogTap {
        &self.tap
    }

    /// Changes its level, if the configuration has another one.
    pub fn level(&self, config: &Config) {
        let mut current = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        if *current == config.log_level {
            return;
        }
        current.clone_from(&config.log_level);
        if let Ok(filter) = EnvFilter::try_new(&config.log_level)
            && let Err(error) = self.filter.reload(filter)
        {
            tracing::error!(%error, "log.level cannot be changed; keeping the old level");
        }
    }
}

/// Logs a panic: for `std::panic::set_hook`.
pub fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string);
    tracing::error!(
        thread = thread.name(),
        place,
        "panic: {message}: please report this bug (RUST_BACKTRACE=1 logs a backtrace)"
    );
}
