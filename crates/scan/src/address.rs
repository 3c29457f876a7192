//! Addresses of the two APIs of a relay.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sdk_relay_config::Config;

/// Default port of the HTTP API.
const HTTP_PORT: u16 = 8091;

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

/// URL of the HTTP API that probably belongs to this WebSocket URL: the same address for `/ws` of the HTTP port, else
/// the default port of the same host. `None` for what is no WebSocket URL.
pub(crate) fn http_url_of(ws_url: &str) -> Option<String> {
    let (scheme, rest) = match ws_url.split_once("://")? {
        ("ws", rest) => ("http", rest),
        ("wss", rest) => ("https", rest),
        _ => return None,
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if path == "ws" {
        return Some(format!("{scheme}://{authority}"));
    }
    // The colons in brackets are those of an IPv6 address.
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    (!host.is_empty()).then(|| format!("{scheme}://{host}:{HTTP_PORT}"))
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

    #[test]
    fn the_http_url_of_a_websocket_url() {
        for (ws, http) in [
            ("ws://relay.example:8090", Some("http://relay.example:8091")),
            ("wss://relay.example", Some("https://relay.example:8091")),
            ("wss://relay.example/ws", Some("https://relay.example")),
            ("ws://127.0.0.1:1234/ws", Some("http://127.0.0.1:1234")),
            ("ws://[::1]:8090/", Some("http://[::1]:8091")),
            ("ws://[::1]", Some("http://[::1]:8091")),
            ("http://relay.example", None),
            ("relay.example", None),
            ("ws://", None),
        ] {
            assert_eq!(http_url_of(ws).as_deref(), http, "{ws}");
        }
    }
}
