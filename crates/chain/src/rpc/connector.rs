//! Opens the connections of HTTP clients: directly, or through a SOCKS proxy.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use sdk_relay_platform::net::{PlainText, Proxy, ProxyError, find_cause, is_onion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_service::Service;

/// Opens connections for `hyper`. With a proxy every connection goes through it, and the proxy resolves the names.
#[derive(Clone, Debug)]
pub struct Connector {
    direct: HttpConnector,
    proxy: Option<Proxy>,
}

/// A connection of [`Connector`].
pub struct HttpStream(Box<dyn Bytes>);

trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Bytes for S {}

impl HttpStream {
    /// Without TLS, an answer in TLS is an error that says so ([`SpeaksTls`](sdk_relay_platform::net::SpeaksTls)).
    fn over(stream: impl Bytes + 'static, has_tls: bool) -> TokioIo<Self> {
        TokioIo::new(Self(if has_tls {
            Box::new(stream)
        } else {
            Box::new(PlainText::new(stream))
        }))
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Connector {
    /// Connects within `timeout`, or through the proxy within the time limits of [`Proxy::connect`].
    pub fn new(timeout: Duration, proxy: Option<Proxy>) -> Self {
        let mut direct = HttpConnector::new();
        direct.set_nodelay(true);
        direct.set_connect_timeout(Some(timeout));
        // TLS is added by the caller.
        direct.enforce_http(false);
        Self { direct, proxy }
    }
}

/// The error of the proxy that caused an error of a client with a [`Connector`].
pub fn proxy_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a ProxyError> {
    find_cause(error)
}

impl Service<Uri> for Connector {
    type Response = TokioIo<HttpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.direct.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let has_tls = uri.scheme_str() == Some("https");
        if let Some(proxy) = self.proxy.clone() {
            return Box::pin(async move { Ok(HttpStream::over(proxy.connect(&target(&uri)).await?, has_tls)) });
        }
        if uri.host().is_some_and(is_onion) {
            // Not even looked up (RFC 7686).
            let reason = "an onion service is reached through a SOCKS proxy of Tor only";
            return Box::pin(async move { Err(io::Error::new(io::ErrorKind::Unsupported, reason).into()) });
        }
        let connecting = self.direct.call(uri);
        Box::pin(async move { Ok(HttpStream::over(connecting.await?.into_inner(), has_tls)) })
    }
}

/// `HOST:PORT` of a URL, with the default port of its scheme.
fn target(uri: &Uri) -> String {
    let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    });
    format!("{}:{port}", uri.host().unwrap_or_default())
}

impl Connection for HttpStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for HttpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl AsyncWrite for HttpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_onion_service_without_a_proxy_is_not_looked_up() {
        let mut connector = Connector::new(Duration::from_secs(5), None);
        let refused = connector.call("http://abc.onion:1/".parse().unwrap()).await;
        assert!(refused.err().unwrap().to_string().contains("SOCKS proxy of Tor only"));
    }

    #[test]
    fn the_target_has_the_port_of_the_scheme_and_the_brackets_of_an_ipv6_address() {
        for (url, expected) in [
            ("http://node.example:8332/", "node.example:8332"),
            ("http://node.example/wallet", "node.example:80"),
            ("https://oracle.example/blindbit", "oracle.example:443"),
            ("http://[::1]:8332/", "[::1]:8332"),
        ] {
            assert_eq!(target(&url.parse().unwrap()), expected);
        }
    }
}
