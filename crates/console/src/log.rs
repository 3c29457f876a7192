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

/// The libraries that log at the level `info`.
const QUIET: &str = "zeromq=warn,hyper_util=warn,";

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
        let (filter, handle) = reload::Layer::new(filter(&config.log_level)?);
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
        if let Ok(filter) = filter(&config.log_level)
            && let Err(error) = self.filter.reload(filter)
        {
            tracing::error!(%error, "log.level cannot be changed; keeping the old level");
        }
    }
}

/// The filter of `log.level`. At `info`, libraries log warnings and errors only, unless `log.level` names them: their
/// further lines speak of sockets and identities that no setting and no page names.
fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    let is_info = level.split(',').any(|part| part.trim().eq_ignore_ascii_case("info"));
    let quiet = if is_info { QUIET } else { "" };
    EnvFilter::try_new(format!("{quiet}{level}"))
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

#[cfg(test)]
mod tests {
    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Whether the targets of a library and of the relay are logged at this level.
    fn logged(level: &str) -> [bool; 3] {
        let subscriber = Registry::default().with(filter(level).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            [
                tracing::enabled!(target: "zeromq::reconnect", tracing::Level::INFO),
                tracing::enabled!(target: "zeromq::reconnect", tracing::Level::WARN),
                tracing::enabled!(target: "sdk_relay", tracing::Level::INFO),
            ]
        })
    }

    #[test]
    fn libraries_log_warnings_at_info_unless_they_are_named() {
        assert_eq!(logged("info"), [false, true, true]);
        assert_eq!(logged("sdk_relay=debug, INFO"), [false, true, true]);
        assert_eq!(logged("debug"), [true, true, true]);
        assert_eq!(logged("info,zeromq=info"), [true, true, true]);
        assert_eq!(logged("zeromq::reconnect=info"), [true, true, false]);
        assert_eq!(logged("off,zeromq=off"), [false, false, false]);
        assert_eq!(filter("info").unwrap().max_level_hint(), Some(LevelFilter::INFO));
    }
}
