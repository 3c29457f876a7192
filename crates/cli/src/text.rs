//! Texts for messages.

use sdk_relay_config::Config;
use sdk_relay_echo::{causes, message};

/// An error with its causes, each part once, for a terminal or the log.
pub fn with_causes(error: &anyhow::Error) -> String {
    message(&causes(error.as_ref()))
}

/// Where the relay gets blocks from, for messages.
pub fn source(config: &Config) -> String {
    if config.standalone {
        "the embedded development chain".to_owned()
    } else {
        config.bitcoin_core.url.clone()
    }
}
