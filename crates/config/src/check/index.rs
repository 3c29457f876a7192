//! `[index]` and `[blindbit]`: the tweak index, and the Oracle that it is compared with.

use std::net::SocketAddr;

use super::ports::share_a_port;
use crate::config::IndexConfig;
use crate::error::ConfigError;
use crate::network::Network;
use crate::settings as key;
use crate::values::Values;

impl IndexConfig {
    /// `None` if the index is disabled.
    pub(super) fn check(values: &Values, network: Network) -> Result<Option<Self>, ConfigError> {
        let height = values.get(&key::START_HEIGHT)?;
        let threads = values.get(&key::SCAN_THREADS)?;
        Ok(values.get(&key::INDEX_ENABLED)?.then(|| Self {
            start_height: if height > 0 { height } else { network.taproot_height() },
            scan_threads: match threads {
                // One processor remains for detection.
                0 => std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1).max(1)),
                threads => threads,
            },
        }))
    }
}

/// The listen address of BlindBit's gRPC interface.
pub(super) fn grpc_listen(values: &Values) -> Result<Option<SocketAddr>, ConfigError> {
    let listen = values.get(&key::GRPC_LISTEN)?;
    if listen.is_some() && !values.get(&key::INDEX_ENABLED)? {
        let why = "expected nothing: the gRPC interface answers from the tweak index, and index.enabled is false";
        return Err(values.wrong(&key::GRPC_LISTEN, why));
    }
    for (other, taken) in [
        ("ws_url", Some(values.get(&key::WS_URL)?)),
        ("http_url", Some(values.get(&key::HTTP_URL)?)),
        ("electrum.listen", values.get(&key::ELECTRUM_LISTEN)?),
        ("electrum.tls_listen", values.get(&key::ELECTRUM_TLS_LISTEN)?),
    ] {
        if listen
            .zip(taken)
            .is_some_and(|(listen, taken)| share_a_port(listen, taken))
        {
            let why = format!("expected another port than that of {other} ({})", values.origin(other));
            return Err(values.wrong(&key::GRPC_LISTEN, why));
        }
    }
    Ok(listen)
}

/// The address of the BlindBit Oracle; `None` if none is set.
pub(super) fn blindbit_url(values: &Values) -> Result<Option<String>, ConfigError> {
    let is_set = !values.unchecked(&key::ORACLE_URL).as_text().is_empty();
    if is_set && values.get(&key::STANDALONE)? {
        let why = "expected nothing: a standalone relay has its own chain, which no Oracle knows";
        return Err(values.wrong(&key::ORACLE_URL, why));
    }
    if is_set && !values.get(&key::INDEX_ENABLED)? {
        let why = "expected nothing: an Oracle is compared with the index, and index.enabled is false";
        return Err(values.wrong(&key::ORACLE_URL, why));
    }
    values.get(&key::ORACLE_URL)
}
