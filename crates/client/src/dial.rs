//! How the byte stream of a connection is opened.

use std::fmt::Debug;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A byte stream to a relay.
pub trait ByteStream: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Debug + Send + Unpin> ByteStream for S {}

/// The result of a dial, once it is known.
pub type Dialled<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn ByteStream>>> + Send + 'a>>;

/// Opens byte streams to relays. TCP is the default; a proxy or a simulated network are others.
pub trait Dial: Debug + Send + Sync + 'static {
    /// Connects to `HOST:PORT`; an IPv6 address is in brackets. TLS and the upgrade follow on the stream. The caller
    /// drops the future after [`CONNECT_TIMEOUT`](crate::defaults::CONNECT_TIMEOUT).
    fn dial<'a>(&'a self, target: &'a str) -> Dialled<'a>;
}

/// TCP, to the addresses that the system resolves the host to, one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Dial for Tcp {
    fn dial<'a>(&'a self, target: &'a str) -> Dialled<'a> {
        Box::pin(async move {
            let stream = TcpStream::connect(target).await?;
            // Requests are small and wait for their answers: Nagle's algorithm would only delay them.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}
