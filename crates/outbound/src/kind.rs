//! Kinds of addresses that are not public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not called. Every address that IANA's special-purpose registries do not list as globally reachable
/// has a kind, and so do those that carry an IPv4 address: where they lead depends on the network of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 0.0.0.0/8 and `::` (RFC 1122, RFC 4291): connects to this machine.
    Unspecified,
    /// 127.0.0.0/8 and `::1`.
    Loopback,
    /// 10/8, 172.16/12, 192.168/16 (RFC 1918).
    Private,
    /// 100.64.0.0/10, behind the NAT of a provider (RFC 6598).
    Shared,
    /// 169.254.0.0/16 and fe80::/10.
    LinkLocal,
    /// fc00::/7 (RFC 4193), and the site-local fec0::/10 before it (RFC 3879).
    UniqueLocal,
    /// The metadata service of a cloud, which gives credentials to local clients.
    Metadata,
    /// 192.0.0.0/24 and 2001::/23 (RFC 6890), 192.88.99.0/24 (RFC 7526): protocols between routers.
    Protocol,
    /// 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/32, 3fff::/20 (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// 198.18.0.0/15 (RFC 2544).
    Benchmarking,
    /// 224.0.0.0/4 and ff00::/8.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// 240.0.0.0/4, and of IPv6 all but 2000::/3.
    Reserved,
    /// `::ffff:0:0/96` and `::/96`: IPv4 addresses in IPv6 sockets (RFC 4291).
    Mapped,
    /// 64:ff9b::/96 and 64:ff9b:1::/48 (RFC 6052, RFC 8215): a gateway translates to IPv4.
    Nat64,
    /// 2002::/16 (RFC 3056), an IPv4 tunnel.
    SixToFour,
    /// 2001::/32 (RFC 4380), an IPv4 tunnel.
    Teredo,
    /// This relay: an interface of its machine, one of its public addresses, or a port that it listens on.
    Own,
    /// In `outbound.refuse`.
    Configured,
}

/// Metadata services that are not in a link-local network: AWS over IPv6, Google over IPv6, Alibaba, Oracle, Azure.
const METADATA: [IpAddr; 5] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

impl Kind {
    /// The kind of an address; `None` for a public one.
    pub fn of(ip: IpAddr) -> Option<Self> {
        if METADATA.contains(&ip) {
            return Some(Self::Metadata);
        }
        match ip {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    fn of_v4(v4: Ipv4Addr) -> Option<Self> {
        let kind = match v4.octets() {
            [0, ..] => Self::Unspecified,
            [127, ..] => Self::Loopback,
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Self::Private,
            [100, 64..=127, ..] => Self::Shared,
            [169, 254, ..] => Self::LinkLocal,
            [192, 0, 0, _] | [192, 88, 99, _] => Self::Protocol,
            [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Self::Documentation,
            [198, 18..=19, ..] => Self::Benchmarking,
            [224..=239, ..] => Self::Multicast,
            [255, 255, 255, 255] => Self::Broadcast,
            [240..=255, ..] => Self::Reserved,
            _ => return None,
        };
        Some(kind)
    }

    fn of_v6(v6: Ipv6Addr) -> Option<Self> {
        let kind = match v6.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0] => Self::Unspecified,
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            [0, 0, 0, 0, 0, 0 | 0xffff, ..] => Self::Mapped,
            [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => Self::Nat64,
            [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Self::UniqueLocal,
            [0xfe80..=0xfebf, ..] => Self::LinkLocal,
            [0xff00..=0xffff, ..] => Self::Multicast,
            [0x2001, 0, ..] => Self::Teredo,
            [0x2001, 0x1..=0x1ff, ..] => Self::Protocol,
            [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Self::Documentation,
            [0x2002, ..] => Self::SixToFour,
            // The only addresses that are assigned to networks so far (RFC 4291, IANA).
            [0x2000..=0x3fff, ..] => return None,
            _ => Self::Reserved,
        };
        Some(kind)
    }

    /// Whether `outbound.allow_private` can allow it: only what an operator's own services have.
    pub(crate) fn may_be_allowed(self) -> bool {
        match self {
            Self::Loopback
            | Self::Private
            | Self::Shared
            | Self::UniqueLocal
            | Self::Documentation
            | Self::Benchmarking
            | Self::Own => true,
            Self::Unspecified
            | Self::LinkLocal
            | Self::Metadata
            | Self::Protocol
            | Self::Multicast
            | Self::Broadcast
            | Self::Reserved
            | Self::Mapped
            | Self::Nat64
            | Self::SixToFour
            | Self::Teredo
            | Self::Configured => false,
        }
    }

    /// In words, for the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Shared => "shared (100.64.0.0/10)",
            Self::LinkLocal => "link-local",
            Self::UniqueLocal => "unique-local",
            Self::Metadata => "a metadata service",
            Self::Protocol => "for protocols between routers",
            Self::Documentation => "for documentation",
            Self::Benchmarking => "for benchmarks",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Reserved => "reserved",
            Self::Mapped => "an IPv4 address in IPv6 form",
            Self::Nat64 => "NAT64",
            Self::SixToFour => "6to4",
            Self::Teredo => "Teredo",
            Self::Own => "of this relay",
            Self::Configured => "in outbound.refuse",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sdk_relay_config::address::is_private;

    use super::*;

    fn kind(ip: &str) -> Option<Kind> {
        Kind::of(ip.parse().unwrap())
    }

    #[test]
    fn the_first_and_the_last_address_of_each_network_and_their_neighbours() {
        for (first, last, expected) in [
            ("0.0.0.0", "0.255.255.255", Kind::Unspecified),
            ("10.0.0.0", "10.255.255.255", Kind::Private),
            ("100.64.0.0", "100.100.100.199", Kind::Shared),
            ("100.100.100.201", "100.127.255.255", Kind::Shared),
            ("127.0.0.0", "127.255.255.255", Kind::Loopback),
            ("169.254.0.0", "169.254.255.255", Kind::LinkLocal),
            ("172.16.0.0", "172.31.255.255", Kind::Private),
            ("192.0.0.0", "192.0.0.191", Kind::Protocol),
            ("192.0.2.0", "192.0.2.255", Kind::Documentation),
            ("192.88.99.0", "192.88.99.255", Kind::Protocol),
            ("192.168.0.0", "192.168.255.255", Kind::Private),
            ("198.18.0.0", "198.19.255.255", Kind::Benchmarking),
            ("198.51.100.0", "198.51.100.255", Kind::Documentation),
            ("203.0.113.0", "203.0.113.255", Kind::Documentation),
            ("224.0.0.0", "239.255.255.255", Kind::Multicast),
            ("240.0.0.0", "255.255.255.254", Kind::Reserved),
            ("255.255.255.255", "255.255.255.255", Kind::Broadcast),
            ("::", "::", Kind::Unspecified),
            ("::1", "::1", Kind::Loopback),
            ("::2", "::ffff:ffff", Kind::Mapped),
            ("::ffff:0:0", "::ffff:ffff:ffff", Kind::Mapped),
            ("64:ff9b::", "64:ff9b::ffff:ffff", Kind::Nat64),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Kind::Nat64),
            ("100::", "100::ffff:ffff:ffff:ffff", Kind::Reserved),
            ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", Kind::Teredo),
            ("2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Kind::Protocol),
            (
                "2001:db8::",
                "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                Kind::Documentation,
            ),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Kind::SixToFour),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Kind::Documentation),
            ("4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Kind::Reserved),
            ("fc00::", "fd00:ec2::253", Kind::UniqueLocal),
            (
                "fd20:ce::255",
                "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                Kind::UniqueLocal,
            ),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Kind::LinkLocal),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Kind::UniqueLocal),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Kind::Multicast),
        ] {
            assert_eq!((kind(first), kind(last)), (Some(expected), Some(expected)), "{first}");
        }
        for metadata in [
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd20:ce::254",
        ] {
            assert_eq!(kind(metadata), Some(Kind::Metadata));
        }
        for public in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::",
            "2001:db7:ffff::",
            "2001:db9::",
            "2001:4860:4860::8888",
            "2003::1",
            "2606:4700::1111",
            "3ffe:ffff::",
            "3fff:1000::",
        ] {
            assert_eq!(kind(public), None, "{public}");
        }
    }

    #[test]
    fn what_can_be_allowed_are_services_of_the_operator() {
        for never in [
            "0.0.0.0",
            "169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!kind(never).unwrap().may_be_allowed(), "{never}");
        }
        for own in ["127.0.0.1", "::1", "10.0.0.1", "100.64.0.1", "fd12::1"] {
            assert!(kind(own).unwrap().may_be_allowed(), "{own}");
        }
    }

    proptest! {
        /// The rule of the mesh, which is written in another way, calls nothing private that this one calls.
        #[test]
        fn what_the_mesh_calls_private_is_refused(v4 in any::<u32>(), v6 in any::<u128>(), prefix in any::<u16>()) {
            let with_prefix = u128::from(prefix) << 112 | v6 >> 16;
            for ip in [IpAddr::from(Ipv4Addr::from_bits(v4)), Ipv6Addr::from_bits(v6).into(), Ipv6Addr::from_bits(with_prefix).into()] {
                prop_assert!(!is_private(ip) || Kind::of(ip).is_some(), "{}", ip);
            }
        }
    }
}
