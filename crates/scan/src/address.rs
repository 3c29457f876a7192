//! Addresses of the two APIs of this machine's relay.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sdk_relay_config::Config;

/// URL of the WebSocket API of this machine's relay.
pub(crate) fn own_ws_url(config: &Config) -> String {
    let scheme = if config.tls.is_some() { "wss" } else { "ws" };
    format!("{scheme}://{}", reachable(config.ws_url))
}

/// URL of the HTTP API of this machine's relay.
pub fn own_http_url(config: &Config) -> String {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{}", reachable(config.http_url))
}

/// An address that clients on this machine can connect to.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_reached_over_loopback() {
        for (listen, expected) in [
            ("0.0.0.0:8091", "127.0.0.1:8091"),
            ("[::]:8091", "[::1]:8091"),
            ("192.0.2.7:1", "192.0.2.7:1"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), expected);
        }
    }
}
