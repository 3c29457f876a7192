//! Which learned addresses may be dialled, and passed on to clients.

use sdk_relay_config::address::{is_own_machine, is_private, literal};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{PoisonError, RwLock};

use sdk_relay_config::{AllowPrivate, PeerAddress};

/// Metadata services of clouds, which give credentials to local clients: AWS and others, AWS over IPv6, Alibaba,
/// Oracle, Azure.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// Most networks that configured peers allow: each of 64 peers has a few addresses.
const NETWORKS: usize = 256;

/// The rule of `mesh.allow_private`.
#[derive(Debug)]
pub(super) struct Reach {
    mode: AllowPrivate,
    /// Private networks of configured peers.
    networks: RwLock<BTreeSet<IpAddr>>,
    /// This relay's loopback address, if the whole mesh is on one machine.
    loopback: Option<IpAddr>,
}

impl Reach {
    /// With `auto`, a loopback address is allowed only if this relay advertises exactly that address and no configured
    /// peer is on another machine: then only programs of this machine can take part, as in tests and development.
    pub(super) fn new(mode: AllowPrivate, peers: &[String], own: Option<&str>) -> Self {
        let elsewhere = |peer: &String| PeerAddress::parse(peer).is_none_or(|peer| !is_own_machine(&peer.url));
        let loopback = own.and_then(literal).filter(IpAddr::is_loopback);
        Self {
            mode,
            networks: RwLock::default(),
            loopback: loopback.filter(|_| !peers.iter().any(elsewhere)),
        }
    }

    /// A configured peer has this address: with `auto` its network is allowed.
    pub(super) fn open(&self, ip: IpAddr) {
        let Some(network) = network(ip) else { return };
        let mut networks = self.networks.write().unwrap_or_else(PoisonError::into_inner);
        if self.mode == AllowPrivate::Auto && networks.len() < NETWORKS {
            networks.insert(network);
        }
    }

    /// Whether all private addresses may be dialled.
    pub(super) fn allows_all(&self) -> bool {
        self.mode == AllowPrivate::Yes
    }

    /// Whether a learned address may be dialled.
    pub(super) fn allows(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if !is_private(ip) && !METADATA.contains(&ip) {
            return true;
        }
        match self.mode {
            AllowPrivate::Yes => !ip.is_unspecified() && !ip.is_multicast(),
            AllowPrivate::No => false,
            AllowPrivate::Auto => {
                let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
                self.loopback == Some(ip) || network(ip).is_some_and(|network| networks.contains(&network))
            }
        }
    }
}

/// The network of a private address: of IPv4 a /16, as container engines and sites use them; of IPv6 the /48 of a site.
/// `None` for all other addresses: loopback, link-local, reserved ranges, and metadata services.
fn network(ip: IpAddr) -> Option<IpAddr> {
    let ip = ip.to_canonical();
    match ip {
        _ if METADATA.contains(&ip) => None,
        IpAddr::V4(v4) => {
            let [a, b, _, _] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            (v4.is_private() || shared).then(|| Ipv4Addr::new(a, b, 0, 0).into())
        }
        IpAddr::V6(v6) => v6
            .is_unique_local()
            .then(|| Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn allowed<'a>(reach: &Reach, all: &[&'a str]) -> Vec<&'a str> {
        all.iter().copied().filter(|text| reach.allows(ip(text))).collect()
    }

    const NEVER: [&str; 14] = [
        "127.0.0.1",
        "127.0.0.2",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "169.254.1.1",
        "fe80::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "224.0.0.1",
    ];

    #[test]
    fn a_private_peer_allows_its_network_but_never_loopback_link_local_or_metadata() {
        let peers = ["ws://10.1.2.3:8090".to_owned()];
        for own in [None, Some("ws://127.0.0.1:8090"), Some("wss://relay.example:8090")] {
            let reach = Reach::new(AllowPrivate::Auto, &peers, own);
            assert_eq!(allowed(&reach, &["10.1.9.9", "1.1.1.1"]), ["1.1.1.1"]);
            reach.open(ip("10.1.2.3"));
            reach.open(ip("fd12:3456:789a:1::1"));
            let asked = [
                "10.1.9.9",
                "10.2.0.1",
                "192.168.0.1",
                "fd12:3456:789a:2::1",
                "fd12:3456:789b::1",
            ];
            assert_eq!(allowed(&reach, &asked), ["10.1.9.9", "fd12:3456:789a:2::1"]);
            NEVER.iter().for_each(|never| reach.open(ip(never)));
            assert_eq!(allowed(&reach, &NEVER), [""; 0]);
            // Nor does a peer next to the metadata service allow that.
            reach.open(ip("100.100.1.1"));
            assert_eq!(allowed(&reach, &["100.100.100.200", "100.100.2.2"]), ["100.100.2.2"]);
        }
    }

    #[test]
    fn loopback_is_allowed_only_in_a_mesh_on_one_machine() {
        let here = "ws://127.0.0.1:8090".to_owned();
        let asked = ["127.0.0.1", "127.0.0.2", "::1", "10.0.0.1"];
        let reach = |peers: &[String], own| Reach::new(AllowPrivate::Auto, peers, own);
        assert_eq!(allowed(&reach(&[], Some(&here)), &asked), ["127.0.0.1"]);
        assert_eq!(
            allowed(&reach(std::slice::from_ref(&here), Some(&here)), &asked),
            ["127.0.0.1"]
        );
        // A tunnel to another machine, and a relay that is reached from other machines.
        let mixed = [here.clone(), "wss://relay.example:1".to_owned()];
        assert_eq!(allowed(&reach(&mixed, Some(&here)), &asked), [""; 0]);
        for own in [
            None,
            Some("ws://192.0.2.1:1"),
            Some("ws://0.0.0.0:8090"),
            Some("wss://relay.example:1"),
        ] {
            assert_eq!(
                allowed(&reach(std::slice::from_ref(&here), own), &asked),
                [""; 0],
                "{own:?}"
            );
        }
    }

    #[test]
    fn no_denies_and_yes_allows_all_private_addresses() {
        let private = ["10.0.0.1", "127.0.0.1", "fd00::1"];
        let no = Reach::new(AllowPrivate::No, &[], Some("ws://127.0.0.1:1"));
        no.open(ip("10.0.0.1"));
        assert_eq!(allowed(&no, &private), [""; 0]);
        let yes = Reach::new(AllowPrivate::Yes, &[], None);
        assert_eq!(allowed(&yes, &private), private);
        assert_eq!(allowed(&yes, &["0.0.0.0", "::", "224.0.0.1"]), [""; 0]);
    }
}
