//! The listening sockets. They survive a restart of the relay within the process: meanwhile, connections wait in the
//! backlog.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sdk_relay_platform::net::{Listener, ListeningSocket};

use crate::listener::listen;

/// The sockets of one process. Clones are handles to the same ones.
#[derive(Clone, Debug, Default)]
pub struct Ports(Arc<Mutex<Vec<Port>>>);

#[derive(Debug)]
struct Port {
    /// The configured address: the port may be 0.
    address: SocketAddr,
    socket: ListeningSocket,
    is_used: bool,
}

impl Ports {
    /// Closes the sockets of addresses that are no longer configured, which another process may need.
    pub fn keep_only(&self, addresses: &[SocketAddr]) {
        let mut ports = self.lock();
        ports.retain(|port| addresses.contains(&port.address));
        ports.iter_mut().for_each(|port| port.is_used = false);
    }

    /// Listens on an address; reuses its socket if there is one.
    pub fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        let mut ports = self.lock();
        let kept = ports.iter_mut().find(|port| port.address == address && !port.is_used);
        if let Some(port) = kept {
            let listener = port.socket.attach()?;
            port.is_used = true;
            return Ok(listener);
        }
        let socket = listen(address)?;
        let listener = socket.attach()?;
        ports.push(Port {
            address,
            socket,
            is_used: true,
        });
        Ok(listener)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Port>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_configured_address_keeps_its_socket_and_others_are_closed() {
        let ports = Ports::default();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let bound = |ports: &Ports, address| ports.listen(address).and_then(|socket| socket.local_addr());
        let first = [bound(&ports, any).unwrap(), bound(&ports, any).unwrap()];
        assert_ne!(first[0], first[1]);
        ports.keep_only(&[any, any]);
        assert_eq!([bound(&ports, any).unwrap(), bound(&ports, any).unwrap()], first);
        // The same ports on other addresses.
        ports.keep_only(&first);
        assert_eq!(bound(&ports, first[1]).unwrap(), first[1]);
        let refused = listen(first[1]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        ports.keep_only(&[]);
        assert!(listen(first[1]).is_ok());
    }
}
