//! Listening sockets.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use super::Stream;
use super::memory::{self, MemoryListener};
use crate::simulation;

/// A listening socket that belongs to no runtime. Connections wait in its backlog until a [`Listener`] accepts them.
#[derive(Debug)]
pub struct ListeningSocket(Socket);

#[derive(Debug)]
enum Socket {
    System(std::net::TcpListener),
    Memory(MemoryListener),
}

/// A listening socket of the current runtime.
#[derive(Debug)]
pub struct Listener(Attached);

#[derive(Debug)]
enum Attached {
    System(TcpListener),
    Memory(MemoryListener),
}

/// Listens on an address. `backlog`: connections that wait until they are accepted.
pub fn listen(address: SocketAddr, backlog: u32) -> io::Result<ListeningSocket> {
    if simulation::is_active() {
        return memory::listen(address).map(|listener| ListeningSocket(Socket::Memory(listener)));
    }
    let listener = bound(address)?.listen(backlog)?.into_std()?;
    Ok(ListeningSocket(Socket::System(listener)))
}

/// Checks that the process may bind an address, as far as possible while another process may listen there.
pub fn can_bind(address: SocketAddr) -> io::Result<()> {
    if simulation::is_active() {
        return Ok(());
    }
    match bound(address) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => Err(error),
        _ => Ok(()),
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Allows binding while connections of an earlier process are in TIME_WAIT. On Windows it would let another process
    // take the port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

impl ListeningSocket {
    /// A listener of the current runtime for this socket, which stays open. Panics outside of a runtime.
    pub fn attach(&self) -> io::Result<Listener> {
        Ok(Listener(match &self.0 {
            Socket::System(socket) => Attached::System(TcpListener::from_std(socket.try_clone()?)?),
            Socket::Memory(listener) => Attached::Memory(listener.clone()),
        }))
    }
}

impl Listener {
    /// The next connection, and the address of its peer. Cancel-safe.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match &self.0 {
            Attached::System(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::from_system(stream), peer))
            }
            Attached::Memory(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::from_memory(stream), peer))
            }
        }
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            Attached::System(listener) => listener.local_addr(),
            Attached::Memory(listener) => Ok(listener.address()),
        }
    }

    /// Detaches the socket from its runtime, so that it can be attached to another one.
    pub fn detach(self) -> io::Result<ListeningSocket> {
        Ok(ListeningSocket(match self.0 {
            Attached::System(listener) => Socket::System(listener.into_std()?),
            Attached::Memory(listener) => Socket::Memory(listener),
        }))
    }
}
