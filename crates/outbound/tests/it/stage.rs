//! A resolver and a dialer of the tests, and an [`Outbound`] with them.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use hyper::header::HeaderMap;
use sdk_relay_outbound::{
    Answer, Dialer, Failure, Limit, Limits, Outbound, OutboundMetrics, Parts, Request, Resolver, Rules, Target,
    Timeouts,
};
use sdk_relay_platform::net::{Stream, connect};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The client that causes the requests.
pub(crate) const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(9, 9, 9, 9));
/// A public address, which the dialer leads to a server of the test.
pub(crate) const PUBLIC: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(1, 1, 1, 1));

/// Answers for names: the first, then the second, and so on in a circle.
#[derive(Default)]
pub(crate) struct Names {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Names {
    pub(crate) fn set(&self, name: &str, answers: &[&[IpAddr]]) {
        let answers = answers.iter().map(|answer| answer.to_vec()).collect();
        self.answers.lock().unwrap().insert(name.to_owned(), answers);
    }
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answers = answers.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        answers.rotate_left(1);
        let answer = answers.last().unwrap();
        Ok(answer.iter().map(|ip| SocketAddr::new(*ip, port)).collect())
    }
}

/// Leads public addresses to servers of the test. A loopback address is really dialled, so that a hole in the rules is
/// noticed by who listens there; all others are refused, so that nothing leaves this machine.
#[derive(Default)]
pub(crate) struct Map {
    pub(crate) servers: Mutex<HashMap<IpAddr, SocketAddr>>,
    pub(crate) dialled: Mutex<Vec<SocketAddr>>,
}

#[async_trait]
impl Dialer for Map {
    async fn connect(&self, address: SocketAddr) -> io::Result<Stream> {
        self.dialled.lock().unwrap().push(address);
        let server = self.servers.lock().unwrap().get(&address.ip()).copied();
        match server {
            Some(server) => connect(server).await,
            None if address.ip().to_canonical().is_loopback() => connect(address).await,
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }
}

pub(crate) struct Stage {
    pub(crate) names: Arc<Names>,
    pub(crate) map: Arc<Map>,
    pub(crate) outbound: Outbound,
}

pub(crate) struct Setup {
    pub(crate) rules: Rules,
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) roots: RootCertStore,
}

impl Default for Setup {
    /// HTTP without TLS, and no limits.
    fn default() -> Self {
        let rules = Rules {
            allow_http: true,
            ..Rules::default()
        };
        let free = Limit {
            in_flight: u32::MAX,
            per_minute: NonZeroU32::new(60_000_000).unwrap(),
            burst: NonZeroU32::new(1_000_000).unwrap(),
        };
        Self {
            rules,
            limits: Limits {
                all: free,
                client: free,
                destination: free,
            },
            timeouts: Timeouts::default(),
            roots: RootCertStore::empty(),
        }
    }
}

impl Setup {
    pub(crate) fn build(self) -> Stage {
        let (names, map) = (Arc::<Names>::default(), Arc::<Map>::default());
        let outbound = self.build_with(
            Arc::clone(&names) as Arc<dyn Resolver>,
            Arc::clone(&map) as Arc<dyn Dialer>,
        );
        Stage { names, map, outbound }
    }

    pub(crate) fn build_with(self, resolver: Arc<dyn Resolver>, dialer: Arc<dyn Dialer>) -> Outbound {
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots)
            .with_no_client_auth();
        Outbound::new(Parts {
            rules: self.rules,
            limits: self.limits,
            timeouts: self.timeouts,
            tls: Arc::new(tls),
            resolver,
            dialer,
            metrics: OutboundMetrics::default(),
        })
    }
}

impl Stage {
    /// Leads a public address to a server, and a name to the address.
    pub(crate) fn serve(&self, name: &str, ip: IpAddr, server: SocketAddr) {
        self.names.set(name, &[&[ip]]);
        self.map.servers.lock().unwrap().insert(ip, server);
    }

    pub(crate) async fn post(&self, url: &str) -> Result<Answer, Failure> {
        self.outbound.post(CLIENT, &request(url)).await
    }
}

pub(crate) fn request(url: &str) -> Request {
    Request {
        target: Target::parse(url, true).unwrap_or_else(|wrong| panic!("{url}: {wrong}")),
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"body"),
    }
}
