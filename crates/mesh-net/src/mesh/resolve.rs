//! Resolves the host name of a relay before it is dialled or passed on.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sdk_relay_config::host_and_port;
use sdk_relay_platform::net;
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
    #[error("cannot resolve {0}")]
    Unknown(String),
    /// It resolves to an address of a private network that is not allowed.
    #[error("{0} is a private address that mesh.allow_private does not allow")]
    Private(IpAddr),
}

/// All addresses of the URL's host, checked: the dial uses these and does not resolve the name again. Without `reach`
/// all addresses are allowed, for names from the configuration.
pub(super) async fn resolve(url: &str, reach: Option<&Reach>) -> Result<Vec<SocketAddr>, AddressError> {
    let target = host_and_port(url).ok_or(AddressError::Malformed)?;
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
