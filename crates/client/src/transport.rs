//! From a URL to a WebSocket.

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_websockets::{ClientBuilder, Limits, WebSocketStream};

use crate::ConnectError;
use crate::defaults::{CONNECT_TIMEOUT, MAX_MESSAGE};

/// A WebSocket to a relay.
pub(crate) type Socket = WebSocketStream<TcpStream>;

const SCHEME: &str = "ws://";
const DEFAULT_PORT: u16 = 80;

/// Connects and upgrades. All addresses of the host are tried, one after the other.
pub(crate) async fn dial(url: &str) -> Result<Socket, ConnectError> {
    let address = address(url)?;
    let upgrade = ClientBuilder::new()
        .limits(Limits::default().max_payload_len(Some(MAX_MESSAGE)))
        .uri(url)
        .map_err(|e| wrong_url(url, &e.to_string()))?;
    let open = async {
        let unreachable = |source| ConnectError::Unreachable {
            address: address.clone(),
            source,
        };
        let stream = TcpStream::connect(&address).await.map_err(unreachable)?;
        // Requests are small and wait for their answers: Nagle's algorithm would only delay them.
        stream.set_nodelay(true).map_err(unreachable)?;
        match upgrade.connect_on(stream).await {
            Ok((socket, _)) => Ok(socket),
            Err(tokio_websockets::Error::Io(source)) => Err(unreachable(source)),
            Err(e) => Err(ConnectError::NotWebSocket {
                address: address.clone(),
                reason: e.to_string(),
            }),
        }
    };
    timeout(CONNECT_TIMEOUT, open)
        .await
        .unwrap_or_else(|_| Err(timed_out(&address)))
}

/// `HOST:PORT` of a `ws://` URL; an IPv6 address stands in brackets.
pub(crate) fn address(url: &str) -> Result<String, ConnectError> {
    if url.starts_with("wss://") {
        return Err(wrong_url(url, "this client does not speak TLS yet"));
    }
    let rest = url
        .strip_prefix(SCHEME)
        .ok_or_else(|| wrong_url(url, "it does not start with ws://"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.is_empty() || authority.contains('@') {
        return Err(wrong_url(url, "the host is missing or has a user name before it"));
    }
    let after_host = authority.rsplit(']').next().unwrap_or(authority);
    match after_host.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => Ok(authority.to_owned()),
        Some(_) => Err(wrong_url(url, "the port is no number from 0 to 65535")),
        None => Ok(format!("{authority}:{DEFAULT_PORT}")),
    }
}

fn wrong_url(url: &str, reason: &str) -> ConnectError {
    ConnectError::Url {
        url: url.to_owned(),
        reason: reason.to_owned(),
    }
}

fn timed_out(address: &str) -> ConnectError {
    ConnectError::Timeout {
        address: address.to_owned(),
        step: "connection",
        after: CONNECT_TIMEOUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_host_and_port() {
        for (url, expected) in [
            ("ws://127.0.0.1:8090", "127.0.0.1:8090"),
            ("ws://localhost:8090/ws?x=1:2", "localhost:8090"),
            ("ws://relay.example", "relay.example:80"),
            ("ws://[::1]:8090/", "[::1]:8090"),
            ("ws://[::1]", "[::1]:80"),
        ] {
            assert_eq!(address(url).unwrap(), expected);
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_url() {
        for url in [
            "",
            "localhost:8090",
            "http://localhost",
            "wss://localhost",
            "ws://",
            "ws://a:b",
            "ws://a:70000",
            "ws://u@h:1",
        ] {
            assert!(matches!(address(url), Err(ConnectError::Url { .. })), "{url}");
        }
    }
}
