//! Addresses that count as one client.

use std::net::IpAddr;

/// The unit of limits: an IPv4 address, or the /64 that one IPv6 customer has. A loopback address is returned as it is,
/// in its canonical form, so that those who exempt loopback addresses from a limit recognise it.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        loopback if loopback.is_loopback() => loopback,
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => std::net::Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_address_or_a_prefix_and_loopback_stays_loopback() {
        let cases = [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::2", "::"),
            ("127.0.0.1", "127.0.0.1"),
            ("::ffff:127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
        ];
        for (address, network) in cases {
            let of = network_of(address.parse().expect("an address"));
            assert_eq!(of.to_string(), network, "{address}");
            assert_eq!(network_of(of), of, "{address}");
        }
    }
}
