//! From an address to a connection.

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use sdk_relay_platform::net::{Stream, connect};

/// Opens connections.
#[async_trait]
pub trait Dialer: Send + Sync {
    /// Connects to an address, which has passed the rules. The caller has a time limit.
    async fn connect(&self, address: SocketAddr) -> io::Result<Stream>;
}

/// The network of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDialer;

#[async_trait]
impl Dialer for SystemDialer {
    async fn connect(&self, address: SocketAddr) -> io::Result<Stream> {
        let stream = connect(address).await?;
        stream.set_nodelay()?;
        Ok(stream)
    }
}
