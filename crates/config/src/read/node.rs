//! Addresses of the node and of the Oracle, and the node's wallet.

use sdk_relay_chain::node::ZmqAddress;
use sdk_relay_chain::rpc::{Auth as RpcAuth, RpcClient};

use super::optional;
use crate::blindbit_url::check_url;
use crate::config::ZMQ_OFF;
use crate::value::{Value, Wrong};

/// Longest name of the node's wallet: it becomes the name of a directory.
const MAX_WALLET_NAME: usize = 255;

/// The node's RPC address; `None`: this machine, at the default port of the network.
pub(crate) fn node_url(value: &Value) -> Result<Option<String>, Wrong> {
    let url = value.as_text();
    if url.contains('@') {
        let why = "expected no user or password in the address: set bitcoin_core.user and bitcoin_core.password";
        return Err(Wrong::because(why).found("\"http://…@…\""));
    }
    // Validated by the RPC client: an address that is accepted here (also over HTTP) must not make the next start fail.
    if !url.is_empty() && RpcClient::new(url.trim_end_matches('/'), RpcAuth::None).is_err() {
        return Err(Wrong::unexpected());
    }
    optional(value)
}

pub(crate) fn zmq_url(value: &Value) -> Result<ZmqAddress, Wrong> {
    let text = value.as_text();
    match text {
        "" => return Ok(ZmqAddress::Reported),
        ZMQ_OFF => return Ok(ZmqAddress::Off),
        _ => {}
    }
    if text.contains('@') {
        let why = "expected tcp://HOST:PORT, without user and password: ZMQ does not support them";
        return Err(Wrong::because(why));
    }
    let is_address = || {
        let (host, port) = text.strip_prefix("tcp://")?.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
        (!host.is_empty() && host.bytes().all(fits) && port.parse::<u16>().is_ok()).then_some(())
    };
    is_address().ok_or(Wrong::unexpected())?;
    Ok(ZmqAddress::At(text.to_owned()))
}

/// A name, not a path: the node would create the wallet wherever a path leads.
pub(crate) fn node_wallet(value: &Value) -> Result<Option<String>, Wrong> {
    let name = value.as_text();
    let fits = name.len() <= MAX_WALLET_NAME
        && !name.contains("..")
        && name != "."
        && !name.contains(|c: char| c == '/' || c == '\\' || c.is_control());
    if fits {
        optional(value)
    } else {
        Err(Wrong::unexpected())
    }
}

/// The URL of a BlindBit Oracle.
pub(crate) fn oracle_url(value: &Value) -> Result<Option<String>, Wrong> {
    if value.as_text().is_empty() {
        return Ok(None);
    }
    let checked = check_url(value.as_text()).map_err(|error| {
        Wrong::because(format!(
            "expected the URL of a BlindBit Oracle: http://HOST:PORT or https://HOST:PORT, optionally with a path, or grpc://HOST:PORT or \
             grpcs://HOST:PORT ({error})"
        ))
    })?;
    Ok(Some(checked))
}
