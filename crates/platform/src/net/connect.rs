//! Outgoing connections.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::Stream;
use crate::simulation;

/// Connects to an address. Has no timeout of its own.
pub async fn connect(address: SocketAddr) -> io::Result<Stream> {
    if simulation::is_active() {
        return super::memory::connect(address).await.map(Stream::from_memory);
    }
    TcpStream::connect(address).await.map(Stream::from_system)
}

/// The addresses of `HOST:PORT` (an IPv6 address is in brackets), in the order of the resolver. Has no timeout of its
/// own.
pub async fn lookup(target: &str) -> io::Result<Vec<SocketAddr>> {
    if simulation::is_active() {
        return super::memory::lookup(target);
    }
    Ok(tokio::net::lookup_host(target).await?.collect())
}
