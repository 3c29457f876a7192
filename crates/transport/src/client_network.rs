//! Addresses that count as one client.

use std::net::IpAddr;

/// The unit of limits: an IPv4 address, or the /64 that one IPv6 customer has.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => std::net::Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}
