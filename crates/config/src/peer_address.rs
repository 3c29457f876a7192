//! Addresses of relays: as configured, and as advertised.

use std::net::Ipv6Addr;

/// Longest URL: a host name has at most 253 characters.
const MAX_URL: usize = 300;

/// A relay to dial: `ws://HOST:PORT` or `wss://HOST:PORT`, in the configuration optionally with `#KEY`, the public key
/// that the relay must prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// Without the key.
    pub url: String,
    /// X-only public key in lower-case hex.
    pub key: Option<String>,
}

impl PeerAddress {
    /// Parses a configured address.
    pub fn parse(text: &str) -> Option<Self> {
        let (url, key) = match text.split_once('#') {
            Some((url, key)) => (url, Some(key)),
            None => (text, None),
        };
        let is_key =
            |key: &str| key.len() == 64 && key.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !key.is_none_or(is_key) {
            return None;
        }
        host_and_port(url)?;
        Some(Self {
            url: url.trim_end_matches('/').to_owned(),
            key: key.map(str::to_owned),
        })
    }
}

/// The WebSocket URL of an advertised address, which is a URL or `HOST:PORT`.
pub fn url_of(address: &str) -> Option<String> {
    let url = if address.contains("://") {
        address.to_owned()
    } else {
        format!("ws://{address}")
    };
    host_and_port(&url)?;
    Some(url)
}

/// `HOST:PORT` of an advertised address.
pub fn without_scheme(address: &str) -> &str {
    address.split_once("://").map_or(address, |(_, rest)| rest)
}

/// `HOST:PORT` of a URL that has both and nothing after them.
pub fn host_and_port(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("ws://").or_else(|| url.strip_prefix("wss://"))?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = rest.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let fits = match bare {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    };
    (fits && url.len() <= MAX_URL && port.parse::<u16>().is_ok_and(|port| port > 0)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_an_operator_writes() {
        let key = "ab".repeat(32);
        let pinned = PeerAddress::parse(&format!("wss://relay.example:8090#{key}")).unwrap();
        assert_eq!(
            (pinned.url.as_str(), pinned.key),
            ("wss://relay.example:8090", Some(key))
        );
        assert_eq!(PeerAddress::parse("ws://[::1]:8090/").unwrap().url, "ws://[::1]:8090");
        for wrong in [
            "",
            "relay.example:8090",
            "http://a:1",
            "ws://a",
            "ws://:1",
            "ws://a:0",
            "ws://a:70000",
            "ws://a:1/path",
            "ws://u@a:1",
            "ws://a b:1",
            "ws://[::g]:1",
            "ws://a:1#",
            "ws://a:1#abcd",
        ] {
            assert_eq!(PeerAddress::parse(wrong), None, "{wrong}");
        }
        assert_eq!(url_of("relay.example:8090").unwrap(), "ws://relay.example:8090");
        assert_eq!(url_of("wss://relay.example:1").unwrap(), "wss://relay.example:1");
        assert!(url_of("").is_none() && url_of("relay.example").is_none() && url_of("file:///etc/passwd").is_none());
        assert_eq!(without_scheme("wss://a:1"), "a:1");
    }
}
