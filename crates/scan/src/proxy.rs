//! Connects the client through a SOCKS proxy.

use std::io;
use std::time::Duration;

use sdk_relay_client::{ByteStream, Dial, Dialled};
use sdk_relay_platform::net::Proxy;

/// For the proxy, TLS and the upgrade: the proxy alone has 25 s ([`Proxy::connect`]).
const TIMEOUT: Duration = Duration::from_secs(40);

/// Opens all connections through this proxy.
#[derive(Debug)]
pub(crate) struct ThroughProxy(pub(crate) Proxy);

impl Dial for ThroughProxy {
    fn dial<'a>(&'a self, target: &'a str) -> Dialled<'a> {
        Box::pin(async move {
            let stream = self.0.connect(target).await.map_err(io::Error::other)?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }

    fn connect_timeout(&self) -> Duration {
        TIMEOUT
    }
}
