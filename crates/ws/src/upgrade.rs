//! From an HTTP request to a WebSocket (RFC 6455, section 4.2). hyper reads the request, so that its size and time are
//! bounded as for any other.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bitcoin::hashes::{Hash, sha1};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Version};
use sdk_relay_config::Config;
use sdk_relay_service::{HostError, RequestHost};

/// The constant that is hashed with the key (RFC 6455, section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why a request is not a valid WebSocket upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It does not request an upgrade.
    #[error("this is the WebSocket API of sdk_relay: connect with a WebSocket client")]
    NoUpgrade,
    /// It requests another version of the protocol.
    #[error("this server supports version 13 of the WebSocket protocol")]
    Version,
    /// The key is not 16 bytes in base64.
    #[error("Sec-WebSocket-Key is missing or wrong")]
    Key,
    /// It has no valid host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Its host is not a name of this relay: the request may come from a web page that uses DNS rebinding.
    #[error("the name in the header Host is not a name of this relay: add it to http.hosts")]
    ForeignHost,
}

impl Refused {
    /// The HTTP answer's status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::NoUpgrade | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Key | Self::Host(_) => StatusCode::BAD_REQUEST,
            Self::ForeignHost => StatusCode::FORBIDDEN,
        }
    }

    /// The HTTP response of the error, with the headers of RFC 6455, section 4.2.2.
    pub fn response<B: From<String>>(self) -> Response<B> {
        let mut response = Response::new(B::from(format!("{self}\n")));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        response
    }
}

/// [`upgrade`] for a request whose host is a name of this relay: a web page can open WebSockets to a name of its own
/// that resolves to this machine (DNS rebinding).
pub fn open<A, B: Default>(request: &mut Request<A>, config: &Config) -> Result<(Response<B>, OnUpgrade), Refused> {
    let host = RequestHost::of(request)?;
    let opened = upgrade(request)?;
    if host.is_some_and(|host| host.is_checked(config)) {
        Ok(opened)
    } else {
        Err(Refused::ForeignHost)
    }
}

/// The response to a WebSocket upgrade, and the stream that is available after it is sent.
pub fn upgrade<A, B: Default>(request: &mut Request<A>) -> Result<(Response<B>, OnUpgrade), Refused> {
    let accept = accept_key(request)?;
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok((response, hyper::upgrade::on(request)))
}

fn accept_key<A>(request: &Request<A>) -> Result<HeaderValue, Refused> {
    let headers = request.headers();
    let asks = request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && has_token(headers, &header::CONNECTION, "upgrade")
        && has_token(headers, &header::UPGRADE, "websocket");
    if !asks {
        return Err(Refused::NoUpgrade);
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|v| v != "13") {
        return Err(Refused::Version);
    }
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .and_then(|k| k.to_str().ok())
        .ok_or(Refused::Key)?;
    if STANDARD.decode(key).map(|k| k.len()) != Ok(16) {
        return Err(Refused::Key);
    }
    let digest = sha1::Hash::hash(format!("{key}{GUID}").as_bytes());
    HeaderValue::from_str(&STANDARD.encode(digest.as_byte_array())).map_err(|_| Refused::Key)
}

fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    values
        .flat_map(|v| v.split(','))
        .any(|t| t.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(&mut HeaderMap)) -> Request<()> {
        let mut request = Request::new(());
        let headers = request.headers_mut();
        headers.insert("connection", HeaderValue::from_static("keep-alive, Upgrade"));
        headers.insert("upgrade", HeaderValue::from_static("WebSocket"));
        headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
        headers.insert(
            "sec-websocket-key",
            HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="),
        );
        change(headers);
        request
    }

    #[test]
    fn the_example_of_the_rfc() {
        let (response, _) = upgrade::<_, String>(&mut request(|_| {})).unwrap();
        assert_eq!(response.status(), 101);
        assert_eq!(
            response.headers()["sec-websocket-accept"],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn each_missing_header_is_an_error() {
        let refused = |change: fn(&mut HeaderMap)| upgrade::<_, String>(&mut request(change)).unwrap_err();
        assert_eq!(refused(|h| drop(h.remove("upgrade"))), Refused::NoUpgrade);
        assert_eq!(refused(|h| drop(h.remove("connection"))), Refused::NoUpgrade);
        assert_eq!(
            refused(|h| drop(h.insert("sec-websocket-version", HeaderValue::from_static("8")))),
            Refused::Version
        );
        assert_eq!(refused(|h| drop(h.remove("sec-websocket-key"))), Refused::Key);
        assert_eq!(
            refused(|h| drop(h.insert("sec-websocket-key", HeaderValue::from_static("c2hvcnQ=")))),
            Refused::Key
        );
        let response: Response<String> = Refused::NoUpgrade.response();
        assert_eq!(response.status(), 426);
        assert_eq!(response.headers()["upgrade"], "websocket");
    }
}
