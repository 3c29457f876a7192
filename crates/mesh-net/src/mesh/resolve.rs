//! What a relay's host name means, before it is dialled or passed on.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sdk_relay_config::host_and_port;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::reach::Reach;

/// To resolve a name: several tries of the system's resolver.
const RESOLVE_WITHIN: Duration = Duration::from_secs(5);
/// Addresses of one name that are dialled, one after the other. More would hold a dial for minutes.
const ADDRESSES: usize = 4;

/// Why an address is not dialled.
#[derive(Debug, thiserror::Error)]
pub(super) enum AddressError {
    /// It is none.
    #[error("expected ws://HOST:PORT or wss://HOST:PORT")]
    Malformed,
    /// The name means nothing.
    #[error("cannot resolve {0}")]
    Unknown(String),
    /// It leads into a private network.
    #[error("{0} is a private address that mesh.allow_private does not allow")]
    Private(IpAddr),
}

/// What the URL's host means now, all of it checked: an address that is dialled afterwards is one of these, and no other meaning of the name.
/// Without `reach` it may mean anything: an operator wrote it.
pub(super) async fn resolve(url: &str, reach: Option<&Reach>) -> Result<Vec<SocketAddr>, AddressError> {
    let target = host_and_port(url).ok_or(AddressError::Malformed)?;
    let unknown = || AddressError::Unknown(target.to_owned());
    let found = timeout(RESOLVE_WITHIN, lookup_host(target)).await;
    let found: Vec<SocketAddr> = found.map_err(|_| unknown())?.map_err(|_| unknown())?.collect();
    // One private address among public ones is how a name is made to lead inside.
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
    async fn a_name_that_leads_inside_is_not_dialled() {
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
