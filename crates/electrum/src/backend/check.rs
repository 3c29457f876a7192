//! Whether `electrum.backend` can be used, for a check of the configuration.

use sdk_relay_config::ElectrumBackend;

use super::link::Link;
use crate::timeouts::Timeouts;

/// Connects, and agrees on a version of the protocol.
///
/// # Errors
///
/// A sentence for people.
pub async fn check_backend(address: &ElectrumBackend) -> Result<(), String> {
    Link::connect(address, Timeouts::default().backend).await.map(drop)
}
