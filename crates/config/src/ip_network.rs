//! An address or a network in CIDR notation.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A network, kept as IPv6 with IPv4 mapped into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNetwork {
    bits: u128,
    mask: u128,
}

/// The text is neither an address nor a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an IP address, or a network such as 10.0.0.0/8 or 2001:db8::/32 with zero host bits")]
pub struct WrongIpNetwork;

impl IpNetwork {
    /// Whether the network contains the address. An IPv4-mapped IPv6 address is the IPv4 address.
    pub fn contains(&self, ip: IpAddr) -> bool {
        bits(ip) & self.mask == self.bits
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => Ipv6Addr::to_bits(v6),
    }
}

impl FromStr for IpNetwork {
    type Err = WrongIpNetwork;

    fn from_str(text: &str) -> Result<Self, WrongIpNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| WrongIpNetwork)?;
        let (width, offset) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let prefix = match prefix {
            None => width,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().map_err(|_| WrongIpNetwork)?,
            Some(_) => return Err(WrongIpNetwork),
        };
        if prefix > width {
            return Err(WrongIpNetwork);
        }
        // A prefix of 0 would shift by all 128 bits.
        let mask = u128::MAX.checked_shl(128 - (prefix + offset)).unwrap_or(0);
        let bits = bits(address);
        // Bits below the prefix are a mistake: 10.0.0.1/8 means either an address or a network.
        if bits & mask != bits {
            return Err(WrongIpNetwork);
        }
        Ok(Self { bits, mask })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, ip: &str) -> bool {
        network.parse::<IpNetwork>().unwrap().contains(ip.parse().unwrap())
    }

    #[test]
    fn addresses_and_networks() {
        assert!(holds("127.0.0.1", "127.0.0.1") && holds("127.0.0.1", "::ffff:127.0.0.1"));
        assert!(!holds("127.0.0.1", "127.0.0.2") && !holds("127.0.0.1", "::1"));
        assert!(holds("10.0.0.0/8", "10.255.255.255") && !holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("0.0.0.0/0", "203.0.113.7") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1") && !holds("2001:db8::/32", "2001:db9::"));
        assert!(holds("::/0", "2001:db8::1") && holds("::1", "::1"));
        assert!(
            holds("::ffff:10.0.0.0/104", "10.1.2.3"),
            "mapped networks are IPv4 networks"
        );
    }

    #[test]
    fn neither_address_nor_network() {
        for wrong in [
            "",
            "localhost",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0/8",
            "10.0.0.0/8/8",
            "127.0.0.1:80",
            "[::1]",
            " 127.0.0.1",
            "2001:db8::1/32",
        ] {
            assert!(wrong.parse::<IpNetwork>().is_err(), "{wrong}");
        }
    }
}
