//! Address of a BlindBit Oracle.

use hyper::Uri;
use hyper::http::uri::Authority;
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
        (Some(scheme @ ("http" | "https")), Some(at)) => {
            check_authority(&uri, at)?;
            Ok(format!("{scheme}://{at}{}", uri.path().trim_end_matches('/')))
        }
        (Some(scheme @ ("grpc" | "grpcs")), Some(at)) => {
            check_authority(&uri, at)?;
            if at.port_u16().is_none() {
                return Err(WrongUrl("the port is missing: gRPC has no usual one"));
            }
            if !matches!(uri.path(), "" | "/") {
                return Err(WrongUrl("an address of gRPC has no path"));
            }
            Ok(format!("{scheme}://{at}"))
        }
        _ => Err(WrongUrl("it must begin with http://, https://, grpc:// or grpcs://")),
    }
}

fn check_authority(uri: &Uri, at: &Authority) -> Result<(), WrongUrl> {
    if at.as_str().contains('@') {
        return Err(WrongUrl(
            "it must not have a user or password, because GET /config shows the address",
        ));
    }
    if uri.query().is_some() {
        return Err(WrongUrl("it must not have a query"));
    }
    if !has_usable_port(at) {
        return Err(WrongUrl("the port must be a number from 1 to 65535"));
    }
    Ok(())
}
