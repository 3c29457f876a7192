//! Opens a WebSocket for a URL.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_platform::net::{PlainText, SpeaksTls, find_cause};
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_websockets::{ClientBuilder, Limits, MaybeTlsStream, WebSocketStream};

use crate::ConnectError;
use crate::defaults::MAX_MESSAGE;
use crate::dial::{ByteStream, Dial, Tcp};
use crate::tls::{self, Trust};

/// Default port of the HTTP API.
const HTTP_PORT: &str = ":8091";

/// A WebSocket to a relay.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<Box<dyn ByteStream>>>;

/// A parsed URL.
#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    tls: bool,
    /// Without the brackets of an IPv6 address.
    host: &'a str,
    /// `HOST:PORT`, with the brackets.
    address: String,
}

/// How connections are opened.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    pub(crate) trust: Trust,
    pub(crate) dialer: Arc<dyn Dial>,
    /// Maximum size of a received message.
    pub(crate) max_message: usize,
}

impl Default for Connector {
    fn default() -> Self {
        Self {
            trust: Trust::default(),
            dialer: Arc::new(Tcp),
            max_message: MAX_MESSAGE,
        }
    }
}

/// Connects, completes the TLS handshake for `wss://`, and upgrades.
pub(crate) async fn dial(url: &str, connector: &Connector) -> Result<Socket, ConnectError> {
    let Target { tls, host, address } = target(url)?;
    let upgrade = ClientBuilder::new()
        .limits(Limits::default().max_payload_len(Some(connector.max_message)))
        .uri(url)
        .map_err(|e| wrong_url(url, &e.to_string()))?;
    let open = async {
        let unreachable = |source: io::Error| match find_cause::<SpeaksTls>(&source) {
            Some(_) => ConnectError::SpeaksTls {
                address: address.clone(),
            },
            None => ConnectError::Unreachable {
                address: address.clone(),
                source,
            },
        };
        // Before the dial: a file that cannot be read is reported even if the relay is unavailable.
        let tls = if tls {
            Some(connector.trust.connector().await?)
        } else {
            None
        };
        let stream = connector.dialer.dial(&address).await.map_err(unreachable)?;
        let stream = match tls {
            None => MaybeTlsStream::Plain(Box::new(PlainText::new(stream)) as Box<dyn ByteStream>),
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned()).map_err(|e| wrong_url(url, &e.to_string()))?;
                let shaken = tls.connect(name, stream).await;
                MaybeTlsStream::Rustls(shaken.map_err(|e| tls::refused(&address, e))?)
            }
        };
        match upgrade.connect_on(stream).await {
            Ok((socket, _)) => Ok(socket),
            Err(tokio_websockets::Error::Io(source)) => Err(unreachable(source)),
            Err(e) => Err(ConnectError::NotWebSocket {
                address: address.clone(),
                reason: format!("{e}{}", other_port(url, host)),
            }),
        }
    };
    let limit = connector.dialer.connect_timeout();
    timeout(limit, open)
        .await
        .unwrap_or_else(|_| Err(timed_out(&address, limit)))
}

/// Where the WebSocket API may be, for a URL without a path, which may be that of the HTTP port.
fn other_port(url: &str, host: &str) -> String {
    let bare = url.trim_end_matches('/');
    let Some((scheme, authority)) = bare
        .split_once("://")
        .filter(|(_, rest)| !rest.contains(['/', '?', '#']))
    else {
        return String::new();
    };
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let (is, then) = if authority.ends_with(HTTP_PORT) {
        ("this is", ":")
    } else {
        ("if this is", ",")
    };
    format!("; {is} the HTTP port{then} the WebSocket API is at {scheme}://{host}:8090 or {bare}/ws")
}

/// `HOST:PORT` of a URL; an IPv6 address is in brackets.
pub(crate) fn address(url: &str) -> Result<String, ConnectError> {
    target(url).map(|target| target.address)
}

fn target(url: &str) -> Result<Target<'_>, ConnectError> {
    let (tls, default_port, rest) = match (url.strip_prefix("ws://"), url.strip_prefix("wss://")) {
        (Some(rest), _) => (false, 80, rest),
        (_, Some(rest)) => (true, 443, rest),
        _ => return Err(wrong_url(url, wrong_scheme(url))),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.is_empty() || authority.contains('@') {
        return Err(wrong_url(url, "the host is missing, or has a user name"));
    }
    let (bracketed, after_host) = authority.rsplit_once(']').unwrap_or(("", authority));
    let (address, bare) = match after_host.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => (authority.to_owned(), host),
        Some(_) => return Err(wrong_url(url, "the port is not a number from 0 to 65535")),
        None => (format!("{authority}:{default_port}"), after_host),
    };
    let host = bracketed.strip_prefix('[').unwrap_or(bare);
    Ok(Target { tls, host, address })
}

/// What another URL is.
fn wrong_scheme(url: &str) -> &'static str {
    match url.split_once("://") {
        Some(("http" | "https", _)) => "it is one of the HTTP API, which has another port",
        Some(_) => "it has another scheme",
        None => "the scheme is missing",
    }
}

fn wrong_url(url: &str, reason: &str) -> ConnectError {
    ConnectError::Url {
        url: url.to_owned(),
        reason: reason.to_owned(),
    }
}

fn timed_out(address: &str, after: Duration) -> ConnectError {
    ConnectError::Timeout {
        address: address.to_owned(),
        step: "connection",
        after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_host_and_port() {
        for (url, tls, host, address) in [
            ("ws://127.0.0.1:8090", false, "127.0.0.1", "127.0.0.1:8090"),
            ("ws://localhost:8090/ws?x=1:2", false, "localhost", "localhost:8090"),
            ("ws://relay.example", false, "relay.example", "relay.example:80"),
            ("wss://relay.example", true, "relay.example", "relay.example:443"),
            ("wss://relay.example:8090/", true, "relay.example", "relay.example:8090"),
            ("ws://[::1]:8090/", false, "::1", "[::1]:8090"),
            ("wss://[::1]", true, "::1", "[::1]:443"),
        ] {
            let address = address.to_owned();
            assert_eq!(target(url).unwrap(), Target { tls, host, address });
        }
    }

    #[test]
    fn the_http_port_is_recognised() {
        for (url, hint) in [
            (
                "ws://127.0.0.1:8091",
                "; this is the HTTP port: the WebSocket API is at ws://127.0.0.1:8090 or ws://127.0.0.1:8091/ws",
            ),
            (
                "wss://[::1]:9000/",
                "; if this is the HTTP port, the WebSocket API is at wss://[::1]:8090 or wss://[::1]:9000/ws",
            ),
            ("ws://127.0.0.1:8091/ws", ""),
        ] {
            assert_eq!(other_port(url, target(url).unwrap().host), hint);
        }
    }

    #[test]
    fn an_invalid_url_is_reported_with_the_reason() {
        for url in [
            "",
            "localhost:8090",
            "http://localhost",
            "https://localhost",
            "wss://",
            "ws://",
            "ws://a:b",
            "ws://a:70000",
            "ws://u@h:1",
        ] {
            assert!(matches!(address(url), Err(ConnectError::Url { .. })), "{url}");
        }
    }
}
