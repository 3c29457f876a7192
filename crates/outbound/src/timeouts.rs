//! How long each step of an attempt may take.

use std::time::Duration;

/// The time limits of an attempt. A relay has those of [`Default`]; tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// The name is resolved.
    pub resolve: Duration,
    /// One address accepts a connection. At most [`ADDRESSES`] are tried.
    pub connect: Duration,
    /// The handshake of TLS.
    pub tls: Duration,
    /// From the request to the head of the answer.
    pub head: Duration,
    /// The body of the answer.
    pub body: Duration,
}

/// Addresses of one name that are tried, one after the other.
pub(crate) const ADDRESSES: usize = 3;

/// Several tries of the system's resolver.
const RESOLVE: Duration = Duration::from_secs(5);
/// An intercontinental connection needs a tenth of it.
const CONNECT: Duration = Duration::from_secs(5);
/// Two round trips, and the work of a busy server.
const TLS: Duration = Duration::from_secs(5);
/// Standard Webhooks recommends 15 to 30 s.
const HEAD: Duration = Duration::from_secs(15);
/// A few kilobytes.
const BODY: Duration = Duration::from_secs(5);

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            resolve: RESOLVE,
            connect: CONNECT,
            tls: TLS,
            head: HEAD,
            body: BODY,
        }
    }
}
