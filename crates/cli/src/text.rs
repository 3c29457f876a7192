//! Texts for messages.

use sdk_relay_config::Config;

/// An error with its causes. Omits a cause that the message already contains.
pub fn with_causes(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) {
            text
        } else {
            format!("{text}: {cause}")
        }
    })
}

/// Where the relay gets blocks from, for messages.
pub fn source(config: &Config) -> String {
    if config.standalone {
        "the embedded development chain".to_owned()
    } else {
        config.bitcoin_core.url.clone()
    }
}
