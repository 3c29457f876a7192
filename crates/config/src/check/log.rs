//! `[log]`: what is logged, and how a line looks.

use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::checker::Checker;
use crate::error::ConfigError;
use crate::file::File;

/// The filter of the log.
pub(super) fn level(at: &Checker<'_>, file: &File) -> Result<String, ConfigError> {
    let text = file.log.level.as_str();
    // The library takes a misspelt level for the name of a module: nothing else would be logged.
    let is_known = |directive: &str| {
        let directive = directive.trim();
        directive.contains(['=', '[']) || LevelFilter::from_str(directive).is_ok()
    };
    let is_right = text.split(',').all(is_known) && EnvFilter::from_str(text).is_ok();
    is_right.then(|| text.to_owned()).ok_or_else(|| {
        at.wrong(
            "log.level",
            text,
            "expected off, error, warn, info, debug, trace, or directives such as info,sdk_relay=debug",
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
