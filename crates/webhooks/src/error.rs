//! Why webhooks cannot start.

use crate::positions::OpenError;
use crate::signature::WrongSecret;

/// Why webhooks cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The positions of the endpoints cannot be used.
    #[error(transparent)]
    Positions(#[from] OpenError),
    /// A secret is no key.
    #[error("webhooks.{name}.secret: {reason}")]
    Secret {
        /// Name of the webhook.
        name: String,
        /// What is wrong.
        reason: WrongSecret,
    },
    /// The URL is none.
    #[error("webhooks.{name}.url is not a URL")]
    Url {
        /// Name of the webhook.
        name: String,
    },
    /// The TLS library refuses its own defaults.
    #[error("TLS is not available for webhooks")]
    Tls,
}
