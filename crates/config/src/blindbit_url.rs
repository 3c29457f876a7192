//! Address of a BlindBit Oracle.

use hyper::Uri;
use sdk_relay_chain::rpc::has_usable_port;

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongUrl(
    /// Reason, for an error message.
    pub &'static str,
);

/// Validates the address and removes a slash at its end.
pub fn check_url(url: &str) -> Result<String, WrongUrl> {
    let uri: Uri = url.parse().map_err(|_| WrongUrl("not a URL"))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(at)) if at.as_str().contains('@') => Err(WrongUrl(
            "it must not have a user or password, because GET /config shows the address",
        )),
        (Some("http" | "https"), Some(_)) if uri.query().is_some() => Err(WrongUrl("it must not have a query")),
        (Some("http" | "https"), Some(at)) if !has_usable_port(at) => {
            Err(WrongUrl("the port must be a number from 1 to 65535"))
        }
        (Some("http" | "https"), Some(at)) => {
            let scheme = uri.scheme_str().unwrap_or("http");
            Ok(format!("{scheme}://{at}{}", uri.path().trim_end_matches('/')))
        }
        _ => Err(WrongUrl("it must begin with http:// or https://")),
    }
}
