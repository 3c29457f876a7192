//! What requests to an Oracle have in common, over HTTP and over gRPC: limits, TLS, answers and errors.

use std::sync::Arc;
use std::time::Duration;

use bitcoin::Txid;
use hyper::StatusCode;
use sdk_relay_chain::rpc::proxy_error;
use sdk_relay_config::WrongUrl;
use sdk_relay_echo::causes;
use sdk_relay_platform::net::Proxy;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::Code;

/// Timeout of the connection; an intercontinental one needs a tenth of it.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Timeout of the whole answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The same through a proxy, which takes up to 25 s to connect (`Proxy::connect`).
const PROXIED_ANSWER_WITHIN: Duration = Duration::from_secs(35);
/// Idle timeout of connections: longer than the interval between blocks of a build, shorter than that of most servers
/// and proxies.
pub(super) const IDLE_FOR: Duration = Duration::from_secs(15);
/// Largest answer. A block of 4,000,000 weight holds some 10,000 eligible transactions at most, for which an Oracle
/// sends 250 bytes each.
pub(super) const LARGEST_ANSWER: usize = 4 << 20;
/// How often a request is retried that the Oracle refuses because it has too many.
pub(super) const AGAIN: usize = 3;
/// The pause before that, if the Oracle requests no other one.
pub(super) const SOME_PAUSE: Duration = Duration::from_secs(1);

/// API version of an Oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Lists of tweaks.
    V1,
    /// Every answer names its block, and `compute-index` the transactions.
    V2,
}

impl Version {
    /// 1 or 2.
    pub fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

/// The answer of an Oracle for a block.
#[derive(Debug)]
pub(super) enum OracleBlock {
    /// Version 1: the tweaks only.
    Listed(Vec<[u8; 33]>),
    /// Version 2.
    Named(Vec<Named>),
}

/// A transaction and its tweak, from an Oracle.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) txid: Txid,
    pub(super) tweak: [u8; 33],
}

/// Why there is no answer. `path` is that of an HTTP route, or the name of a call.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("{0}")]
    Unreachable(String),
    #[error("no answer to {path} within {} s", .limit.as_secs())]
    Late { path: String, limit: Duration },
    #[error("{path}: status {status}")]
    Status { path: String, status: StatusCode },
    #[error("{path}: status {status}, with a Retry-After of {} s", .pause.as_secs())]
    Busy {
        path: String,
        status: StatusCode,
        pause: Duration,
    },
    /// A status of gRPC.
    #[error("{call}: {code:?}: {message}")]
    Refused {
        call: &'static str,
        code: Code,
        message: String,
    },
    #[error("the answer to {path} exceeds {LARGEST_ANSWER} bytes")]
    TooLong { path: String },
    #[error("cannot parse the answer to {path}: {reason}")]
    Malformed { path: String, reason: String },
    #[error("it does not answer like a BlindBit Oracle of version 1 or 2: check the path in blindbit.url")]
    NoOracle,
    #[error(
        "it does not answer like a BlindBit Oracle of version 2 over gRPC: check the port in blindbit.url, or use http:// for its HTTP \
         routes"
    )]
    NoGrpcOracle,
}

/// How long an answer may take.
pub(super) fn answer_within(proxy: Option<&Proxy>) -> Duration {
    match proxy {
        Some(_) => PROXIED_ANSWER_WITHIN,
        None => ANSWER_WITHIN,
    }
}

/// TLS with the certificates that the system trusts, which are read only if they are needed.
pub(super) fn client_tls(is_needed: bool) -> Result<ClientConfig, WrongUrl> {
    let mut roots = RootCertStore::empty();
    if is_needed {
        // Certificates that the library cannot parse are common in system stores; the others suffice.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| WrongUrl("TLS is not available"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(tls)
}

/// What the proxy says, if it is the reason, without the layers above it.
pub(super) fn not_sent(error: &(dyn std::error::Error + 'static)) -> String {
    proxy_error(error).map_or_else(|| causes(error), ToString::to_string)
}
