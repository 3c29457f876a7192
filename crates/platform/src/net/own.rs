//! Addresses of this machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use crate::simulation;

/// Any port but 0: nothing is sent to it.
const ANY_PORT: u16 = 9;

/// Whether an address is one of this machine's interfaces, at this moment. Asks the routing table: to reach an address
/// of its own, the system sends from that very address. Unlike the list of interfaces (netlink) it works in a hardened
/// service, and unlike an attempt to bind also with `net.ipv4.ip_nonlocal_bind`. No packet is sent.
///
/// # Errors
/// The system opens no socket of this family. An address without a route is none of this machine.
pub fn is_own(ip: IpAddr) -> io::Result<bool> {
    if simulation::is_active() {
        return Ok(false);
    }
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    let routed = socket.connect((ip, ANY_PORT)).and_then(|()| socket.local_addr());
    Ok(routed.is_ok_and(|source| source.ip() == ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_and_of_others() {
        let is_own = |ip: &str| is_own(ip.parse().unwrap()).unwrap();
        assert!(is_own("127.0.0.1"));
        // Documentation: no machine has them.
        assert!(!is_own("192.0.2.1") && !is_own("203.0.113.77"));
        // The address from which this machine reaches others, where it does.
        let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
        if socket.connect(("192.0.2.1", ANY_PORT)).is_ok() {
            let source = socket.local_addr().unwrap().ip();
            assert!(self::is_own(source).unwrap(), "{source}");
        }
    }
}
