//! How the byte stream of a connection is opened.

use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use sdk_relay_platform::net::is_onion;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::defaults::CONNECT_TIMEOUT;

/// A byte stream to a relay.
pub trait ByteStream: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Debug + Send + Unpin> ByteStream for S {}

/// The result of a dial, once it is known.
pub type Dialled<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn ByteStream>>> + Send + 'a>>;

/// Opens byte streams to relays. TCP is the default; a proxy or a simulated network are others.
pub trait Dial: Debug + Send + Sync + 'static {
    /// Connects to `HOST:PORT`; an IPv6 address is in brackets. TLS and the upgrade follow on the stream.
    fn dial<'a>(&'a self, target: &'a str) -> Dialled<'a>;

    /// How long the dial, TLS and the upgrade may take together. A dialler that needs longer than
    /// [`CONNECT_TIMEOUT`] says so here.
    fn connect_timeout(&self) -> Duration {
        CONNECT_TIMEOUT
    }
}

/// TCP, to the addresses that the system resolves the host to, one after the other. Onion services of Tor have none,
/// and are not looked up (RFC 7686): they need a dialler that uses a proxy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Dial for Tcp {
    fn dial<'a>(&'a self, target: &'a str) -> Dialled<'a> {
        Box::pin(async move {
            if leads_to_onion(target) {
                let reason = "an onion service is reached through a SOCKS proxy of Tor only: see ClientBuilder::dialer";
                return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
            }
            let stream = TcpStream::connect(target).await?;
            // Requests are small and wait for their answers: Nagle's algorithm would only delay them.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

/// Whether the host of `HOST:PORT` is an onion service.
fn leads_to_onion(target: &str) -> bool {
    is_onion(target.rsplit_once(':').map_or(target, |(host, _)| host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_onion_service_is_not_looked_up() {
        for target in ["abc.onion:80", "abc.ONION.:80", "a.abc.onion:1"] {
            let error = Tcp.dial(target).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{target}");
        }
        assert!(!leads_to_onion("onion:80") && !leads_to_onion("onion.example:80") && !leads_to_onion("[::1]:80"));
    }
}
