//! How a relay is reached: directly at an address, or through the SOCKS proxy.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use sdk_relay_client::{ByteStream, Dial, Dialled};
use sdk_relay_config::address::literal;
use sdk_relay_platform::net::{self, Proxy, ProxyError};
use sdk_relay_transport::network_of;

use super::bindings::Origin;
use super::reach::Reach;
use super::resolve::{AddressError, check_name, resolve};

/// For the proxy, TLS and the upgrade: the proxy alone has 25 s ([`Proxy::connect`]).
const PROXIED_TIMEOUT: Duration = Duration::from_secs(40);
/// Stands for all relays behind the proxy that have names. An onion service costs nothing, so that their number limits
/// nobody: they share the quota of one network.
const BEHIND_PROXY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A way to a relay. A direct one has an address that was checked, however the host of the URL resolves now.
#[derive(Clone, Debug)]
pub(super) enum Route {
    Direct(SocketAddr),
    Proxied {
        proxy: Proxy,
        /// The address of the URL, if it has one and no name.
        ip: Option<IpAddr>,
    },
}

/// The ways to the host of a URL, checked against `reach` as in [`resolve`]. With a proxy there is one, and nothing is
/// looked up.
pub(super) async fn routes(
    url: &str,
    proxy: Option<&Proxy>,
    reach: Option<&Reach>,
) -> Result<Vec<Route>, AddressError> {
    let Some(proxy) = proxy else {
        let addresses = resolve(url, reach).await?;
        return Ok(addresses.into_iter().map(Route::Direct).collect());
    };
    check_name(url, reach)?;
    Ok(vec![Route::Proxied {
        proxy: proxy.clone(),
        ip: literal(url),
    }])
}

impl Route {
    /// The address of the relay; `None` if only the proxy knows it.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Direct(at) => Some(at.ip()),
            Self::Proxied { ip, .. } => *ip,
        }
    }

    /// For the quota of new names.
    pub(super) fn origin(&self) -> Origin {
        Origin::Network(self.ip().map_or(BEHIND_PROXY, network_of))
    }
}

impl Dial for Route {
    fn dial<'a>(&'a self, target: &'a str) -> Dialled<'a> {
        Box::pin(async move {
            let stream = match self {
                Self::Direct(at) => net::connect(*at).await?,
                Self::Proxied { proxy, .. } => proxy.connect(target).await.map_err(io::Error::other)?,
            };
            // Messages between relays are small and wait for their answers.
            stream.set_nodelay()?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }

    fn connect_timeout(&self) -> Duration {
        match self {
            Self::Direct(_) => sdk_relay_client::defaults::CONNECT_TIMEOUT,
            Self::Proxied { .. } => PROXIED_TIMEOUT,
        }
    }
}

/// Whether the error of a dial is about the proxy, or is what the proxy says about the relay.
pub(super) fn is_of_proxy(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<ProxyError>)
}
