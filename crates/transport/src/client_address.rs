//! The client address for limits and logs: its TCP peer, or the address that a trusted reverse proxy names.
//!
//! A forwarding header is used only if the peer is in `http.trusted_proxies`, and is read from the right: each proxy
//! appends the address that it saw, so everything to the left of the first untrusted address may be forged by the
//! client.

mod forwarded;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hyper::header::{HeaderMap, HeaderName};
use sdk_relay_config::{ForwardingHeader, TrustedProxies};

use forwarded::Hops;

/// Longest chain of trusted proxies. Real chains have two or three.
const MAX_HOPS: usize = 16;

/// Standardised form (RFC 7239).
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Address of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    peer: SocketAddr,
    ip: IpAddr,
}

impl ClientAddress {
    /// The address of a client without a proxy.
    pub fn direct(peer: SocketAddr) -> Self {
        Self {
            peer,
            ip: peer.ip().to_canonical(),
        }
    }

    /// The client of a request: the rightmost address in the forwarding header that is not a trusted proxy. If the
    /// header is missing, or has no address, it is the last known proxy.
    pub fn of(proxies: &TrustedProxies, peer: SocketAddr, headers: &HeaderMap) -> Self {
        let direct = Self::direct(peer);
        if !proxies.contains(direct.ip) {
            return direct;
        }
        let mut ip = direct.ip;
        for hop in hops(proxies.header(), headers).take(MAX_HOPS) {
            // An unparsable element was not written by a trusted proxy: ignore everything to its left.
            let Some(address) = hop else { break };
            ip = address;
            if !proxies.contains(ip) {
                return Self { peer, ip };
            }
        }
        if proxies.note_unnamed() {
            tracing::info!(
                proxy = %direct.ip,
                "a request from an address in http.trusted_proxies has no client address in its forwarding header: if that is a proxy, all of its clients share one limit"
            );
        }
        Self { peer, ip }
    }

    /// The address to limit by; IPv4-mapped addresses are IPv4 here.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The other end of the TCP connection: the client, or the last proxy before this relay.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }
}

/// `IP:PORT` of a direct client, the IP address alone of one behind a proxy.
impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ip == self.peer.ip().to_canonical() {
            self.peer.fmt(f)
        } else {
            self.ip.fmt(f)
        }
    }
}

/// The addresses of the header, from the right; `None` for an unparsable one.
fn hops<'a>(header: ForwardingHeader, headers: &'a HeaderMap) -> Hops<'a> {
    let forwarded = match header {
        ForwardingHeader::Auto => !headers.contains_key(X_FORWARDED_FOR),
        ForwardingHeader::XForwardedFor => false,
        ForwardingHeader::Forwarded => true,
    };
    if forwarded {
        Hops::forwarded(headers.get_all(FORWARDED))
    } else {
        Hops::x_forwarded_for(headers.get_all(X_FORWARDED_FOR))
    }
}

#[cfg(test)]
mod tests;
