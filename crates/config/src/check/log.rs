//! `[log]`: what is logged, and how a line looks.

use std::str::FromStr;

use super::checker::Checker;
use crate::error::ConfigError;
use crate::file::File;

/// The filter of the log.
pub(super) fn level(at: &Checker<'_>, file: &File) -> Result<String, ConfigError> {
    let text = file.log.level.as_str();
    tracing_subscriber::EnvFilter::from_str(text)
        .map(|_| text.to_owned())
        .map_err(|_| {
            at.wrong(
                "log.level",
                text,
                "expected error, warn, info, debug, trace, or directives such as info,sdk_relay=debug",
            )
        })
}

/// Whether log lines are JSON.
pub(super) fn is_json(at: &Checker<'_>, file: &File) -> Result<bool, ConfigError> {
    match file.log.format.as_str() {
        "text" => Ok(false),
        "json" => Ok(true),
        other => Err(at.wrong("log.format", other, "expected text or json")),
    }
}
