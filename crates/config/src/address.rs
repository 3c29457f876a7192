//! Which addresses a URL names, and which are not public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::host_and_port;

/// The IP address of a URL; `None` for a host name.
pub fn literal(url: &str) -> Option<IpAddr> {
    let (host, _) = host_and_port(url)?.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

/// Whether a URL names this machine only: a loopback address, `localhost`, or the unspecified address.
pub fn is_own_machine(url: &str) -> bool {
    let name = || host_and_port(url).and_then(|target| target.rsplit_once(':'));
    match literal(url).map(|ip| ip.to_canonical()) {
        Some(ip) => ip.is_loopback() || ip.is_unspecified(),
        None => name().is_some_and(|(host, _)| host.eq_ignore_ascii_case("localhost")),
    }
}

/// Whether an address is not public: loopback, private or reserved ranges (IANA's special-purpose registries), and IPv6
/// addresses that embed such an IPv4 address.
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => is_private_v6(v6),
    }
}

fn is_private_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
        || (a, b, c) == (192, 0, 0)
}

fn is_private_v6(v6: Ipv6Addr) -> bool {
    let s = v6.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_private_v4(Ipv4Addr::new(a, b, c, d))
    };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return is_private_v4(v4);
    }
    match s {
        // NAT64 (RFC 6052) and 6to4 (RFC 3056).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        // Only 2000::/3 is allocated; of it, 2001::/23 is special and 2001:db8::/32 for documentation.
        _ => s[0] & 0xe000 != 0x2000 || (s[0] == 0x2001 && (s[1] < 0x200 || s[1] == 0xdb8)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "::7f00:1",
        ] {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "100.63.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "2a00::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn urls_of_this_machine_only() {
        for own in [
            "ws://127.0.0.1:1",
            "wss://[::1]:1",
            "ws://0.0.0.0:8090",
            "ws://[::]:1",
            "ws://LocalHost:1",
            "ws://127.9.9.9:1",
        ] {
            assert!(is_own_machine(own), "{own}");
        }
        for other in ["ws://10.0.0.1:1", "ws://relay.example:1", "ws://[fd00::1]:1"] {
            assert!(!is_own_machine(other), "{other}");
        }
    }
}
