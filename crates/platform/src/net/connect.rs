//! Outgoing connections.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::{Stream, is_onion};
use crate::simulation;

/// Connects to an address. Has no timeout of its own.
pub async fn connect(address: SocketAddr) -> io::Result<Stream> {
    if simulation::is_active() {
        return super::memory::connect(address).await.map(Stream::from_memory);
    }
    TcpStream::connect(address).await.map(Stream::from_system)
}

/// The addresses of `HOST:PORT` (an IPv6 address is in brackets), in the order of the resolver. Has no timeout of its
/// own. Names of onion services are not looked up: [`Proxy`](super::Proxy) connects to them.
pub async fn lookup(target: &str) -> io::Result<Vec<SocketAddr>> {
    if target.rsplit_once(':').is_some_and(|(host, _)| is_onion(host)) {
        let reason = format!("{target} is an onion service, which only a SOCKS proxy of Tor reaches");
        return Err(io::Error::new(io::ErrorKind::NotFound, reason));
    }
    if simulation::is_active() {
        return super::memory::lookup(target);
    }
    Ok(tokio::net::lookup_host(target).await?.collect())
}
