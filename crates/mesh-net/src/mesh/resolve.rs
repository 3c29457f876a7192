//! Resolves the host name of a relay before it is dialled or passed on.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sdk_relay_config::address::literal;
use sdk_relay_config::{host_and_port, normal_name};
use sdk_relay_echo::short;
use sdk_relay_platform::net::{self, is_onion, is_onion_v3};
use tokio::time::timeout;

use super::reach::Reach;

/// Timeout: several tries of the system's resolver.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried, one after the other. More would take minutes.
const ADDRESSES: usize = 4;

/// Why an address is not dialled.
#[derive(Debug, thiserror::Error)]
pub(super) enum AddressError {
    /// It is malformed.
    #[error("expected ws://HOST:PORT or wss://HOST:PORT")]
    Malformed,
    /// The name does not resolve.
    #[error("cannot resolve {}", short(.0))]
    Unknown(String),
    /// It resolves to an address of a private network that is not allowed.
    #[error("{0} is a private address that mesh.allow_private does not allow")]
    Private(IpAddr),
    /// It is a name of a private network or of this machine, which the proxy would resolve.
    #[error("{0} is a name of a private network, which mesh.allow_private does not allow")]
    PrivateName(String),
    /// It is an onion service, and there is no proxy.
    #[error("{0} is reached through Tor only: set mesh.proxy to its SOCKS proxy")]
    Onion(String),
}

impl AddressError {
    /// Whether the same address fails again as long as the configuration is the same.
    pub(super) fn is_permanent(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }
}

/// Ends of names that are not in the public DNS (RFC 6761, RFC 6762, RFC 8375, and ICANN's `internal`).
const PRIVATE_ENDS: [&str; 6] = ["localhost", "local", "internal", "lan", "test", "home.arpa"];

/// Checks the host of a URL without a look-up, for a dial through a proxy, which resolves names itself. Names may lead
/// to addresses of the network of the proxy: only a proxy such as Tor, which refuses those, protects them entirely.
pub(super) fn check_name(url: &str, reach: Option<&Reach>) -> Result<(), AddressError> {
    let target = host_and_port(url).ok_or(AddressError::Malformed)?;
    let Some(reach) = reach else { return Ok(()) };
    if let Some(ip) = literal(url) {
        return if reach.allows(ip) {
            Ok(())
        } else {
            Err(AddressError::Private(ip))
        };
    }
    let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
    let name = normal_name(host);
    let is_below = |end: &&str| {
        name.strip_suffix(*end)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let is_private = !name.contains('.') || PRIVATE_ENDS.iter().any(is_below);
    if is_private && !reach.allows_all() {
        return Err(AddressError::PrivateName(name));
    }
    if is_onion(&name) && !is_onion_v3(&name) {
        return Err(AddressError::Malformed);
    }
    Ok(())
}

/// All addresses of the URL's host, checked: the dial uses these and does not resolve the name again. Without `reach`
/// all addresses are allowed, for names from the configuration.
pub(super) async fn resolve(url: &str, reach: Option<&Reach>) -> Result<Vec<SocketAddr>, AddressError> {
    let target = host_and_port(url).ok_or(AddressError::Malformed)?;
    if target.rsplit_once(':').is_some_and(|(host, _)| is_onion(host)) {
        return Err(AddressError::Onion(target.to_owned()));
    }
    let unknown = || AddressError::Unknown(target.to_owned());
    let found = timeout(RESOLVE_TIMEOUT, net::lookup(target)).await;
    let found: Vec<SocketAddr> = found.map_err(|_| unknown())?.map_err(|_| unknown())?;
    // One private address among public ones is an attempt to reach an internal service.
    if let Some(private) = found.iter().find(|a| reach.is_some_and(|reach| !reach.allows(a.ip()))) {
        return Err(AddressError::Private(private.ip()));
    }
    if found.is_empty() {
        return Err(unknown());
    }
    Ok(found.into_iter().take(ADDRESSES).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdk_relay_config::AllowPrivate;

    const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

    #[tokio::test]
    async fn without_a_proxy_an_onion_service_is_not_looked_up() {
        let closed = Reach::new(AllowPrivate::No, &[], None);
        for reach in [None, Some(&closed)] {
            let error = resolve(&format!("ws://{ONION}:1"), reach).await.unwrap_err();
            assert!(
                matches!(error, AddressError::Onion(_)) && error.is_permanent(),
                "{error}"
            );
        }
    }

    #[test]
    fn with_a_proxy_names_and_addresses_of_private_networks_are_not_dialled() {
        let closed = Reach::new(AllowPrivate::No, &[], None);
        let check = |host: &str| check_name(&format!("ws://{host}:1"), Some(&closed));
        for public in [
            "1.1.1.1",
            "relay.example.com",
            "[2606:4700::1111]",
            ONION,
            "localhost.example.com",
        ] {
            check(public).unwrap();
        }
        for private in ["10.0.0.1", "127.0.0.1", "[::1]", "169.254.169.254"] {
            assert!(matches!(check(private), Err(AddressError::Private(_))), "{private}");
        }
        for private in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "node",
            "nas.local",
            "db.internal",
            "x.home.arpa",
        ] {
            assert!(matches!(check(private), Err(AddressError::PrivateName(_))), "{private}");
        }
        assert!(matches!(check("abc.onion"), Err(AddressError::Malformed)));
        // Those of the configuration are not restricted.
        for host in ["10.0.0.1", "node", "nas.local"] {
            check_name(&format!("ws://{host}:1"), None).unwrap();
        }
        let open = Reach::new(AllowPrivate::Yes, &[], None);
        check_name("ws://node:1", Some(&open)).unwrap();
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_a_private_address_is_not_dialled() {
        let closed = Reach::new(AllowPrivate::No, &[], None);
        for inside in ["ws://localhost:1", "ws://[::ffff:127.0.0.1]:1"] {
            assert!(matches!(
                resolve(inside, Some(&closed)).await,
                Err(AddressError::Private(_))
            ));
        }
        assert_eq!(
            resolve("ws://127.0.0.1:1", None).await.unwrap(),
            ["127.0.0.1:1".parse().unwrap()]
        );
        assert_eq!(
            resolve("ws://1.1.1.1:1", Some(&closed)).await.unwrap(),
            ["1.1.1.1:1".parse().unwrap()]
        );
    }
}
