//! SOCKS proxies.

use sdk_relay_platform::net::{Proxy, WrongProxy};

use crate::value::{Value, Wrong};

/// `None` for an empty text.
pub(crate) fn proxy(value: &Value) -> Result<Option<Proxy>, Wrong> {
    let text = value.as_text();
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = text.parse();
    parsed
        .map(Some)
        .map_err(|WrongProxy(expected)| Wrong::because(expected))
}
