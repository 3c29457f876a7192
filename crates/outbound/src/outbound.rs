//! Makes the attempts.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request as HttpRequest};
use sdk_relay_echo::causes;
use sdk_relay_platform::net::Stream;
use sdk_relay_telemetry::SOFTWARE_VERSION;
use sdk_relay_transport::network_of;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::answer::Answer;
use crate::budgets::{Budgets, Key, Slot};
use crate::dialer::Dialer;
use crate::exchange::exchange;
use crate::failure::{Failure, Step};
use crate::limits::Limits;
use crate::metrics::OutboundMetrics;
use crate::own::OwnNames;
use crate::resolver::Resolver;
use crate::rules::Rules;
use crate::target::{Host, Target};
use crate::timeouts::{ADDRESSES, Timeouts};

/// Most addresses of a name. All are checked; an answer with more is not that of a server.
const MOST_ADDRESSES: usize = 64;

/// Sends requests to URLs of clients. Clones share the budgets.
#[derive(Clone)]
pub struct Outbound(Arc<Shared>);

/// What [`Outbound`] is made of.
pub struct Parts {
    /// Which addresses may be called.
    pub rules: Rules,
    /// How many requests clients can cause.
    pub limits: Limits,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Whose certificates are trusted: [`system_tls`](crate::system_tls).
    pub tls: Arc<ClientConfig>,
    /// Resolves names.
    pub resolver: Arc<dyn Resolver>,
    /// Opens connections.
    pub dialer: Arc<dyn Dialer>,
    /// Counters.
    pub metrics: OutboundMetrics,
}

/// A `POST`.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where it goes.
    pub target: Target,
    /// Its header fields. `Host`, `User-Agent`, `Connection` and `Content-Length` are added.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

struct Shared {
    rules: Rules,
    budgets: Budgets,
    timeouts: Timeouts,
    tls: TlsConnector,
    resolver: Arc<dyn Resolver>,
    dialer: Arc<dyn Dialer>,
    own: OwnNames,
    metrics: OutboundMetrics,
}

impl Outbound {
    /// Requests under these rules.
    pub fn new(parts: Parts) -> Self {
        let own = OwnNames::new(
            &parts.rules.own_names,
            Arc::clone(&parts.resolver),
            parts.timeouts.resolve,
        );
        Self(Arc::new(Shared {
            rules: parts.rules,
            budgets: Budgets::new(parts.limits),
            timeouts: parts.timeouts,
            tls: TlsConnector::from(parts.tls),
            resolver: parts.resolver,
            dialer: parts.dialer,
            own,
            metrics: parts.metrics,
        }))
    }

    /// Whether URLs may begin with `http://`, for [`Target::parse`].
    pub fn allows_http(&self) -> bool {
        self.0.rules.allow_http
    }

    /// Sends a request once, for the client with this address. Ends within the time limits, which are 45 s together by
    /// default. The caller decides what a status means, and when to try again.
    ///
    /// # Errors
    /// There is no answer. After [`Failure::Busy`] and [`Failure::Refused`] nothing was sent.
    pub async fn post(&self, client: IpAddr, request: &Request) -> Result<Answer, Failure> {
        let result = self.0.attempt(client, request).await;
        self.0.metrics.count(result.as_ref());
        result
    }
}

impl Shared {
    async fn attempt(&self, client: IpAddr, request: &Request) -> Result<Answer, Failure> {
        let target = &request.target;
        if !target.is_tls() && !self.rules.allow_http {
            return Err(Failure::Refused);
        }
        let destination = match target.host() {
            Host::Name(name) if self.rules.own_names.contains(name) => return Err(Failure::Refused),
            Host::Name(name) => Key::Name(name.clone()),
            Host::Address(ip) => Key::Address(network_of(*ip)),
        };
        let keys = vec![Key::All, Key::Client(network_of(client)), destination];
        let slot = Arc::new(self.budgets.admit(keys).map_err(Failure::Busy)?);
        let addresses = self.resolve(target, &slot).await?;
        let addresses = self.checked(target, addresses).await?;
        // Names that lead to one address share its limit; the address of a URL has been counted above.
        let by_name = matches!(target.host(), Host::Name(_));
        let first = addresses.first().filter(|_| by_name);
        let also = first.map(|first| slot.extend(Key::Address(network_of(first.ip()))));
        let _of_address = also.transpose().map_err(Failure::Busy)?;
        let stream = self.connect(&addresses).await?;
        let http = http_request(request)?;
        if target.is_tls() {
            exchange(self.secured(stream, target).await?, http, &self.timeouts).await
        } else {
            exchange(stream, http, &self.timeouts).await
        }
    }

    /// The addresses of the host, at least one. A look-up that takes too long goes on in the threads of the system: it
    /// keeps its slot until it ends.
    async fn resolve(&self, target: &Target, slot: &Arc<Slot>) -> Result<Vec<SocketAddr>, Failure> {
        let name = match target.host() {
            Host::Address(ip) => return Ok(vec![SocketAddr::new(*ip, target.port())]),
            Host::Name(name) => name.clone(),
        };
        let (resolver, slot, port) = (Arc::clone(&self.resolver), Arc::clone(slot), target.port());
        let looked_up = tokio::spawn(async move {
            let found = resolver.resolve(&name, port).await;
            drop(slot);
            found
        });
        let limit = self.timeouts.resolve;
        let found = in_time(Step::Resolve, limit, looked_up).await?;
        match found {
            Ok(Ok(addresses)) if (1..=MOST_ADDRESSES).contains(&addresses.len()) => Ok(addresses),
            // A client learns only whether the relay calls the host.
            Ok(Ok(_) | Err(_)) => Err(Failure::Refused),
            Err(error) => Err(Failure::Unreachable(causes(&error))),
        }
    }

    /// Those that can be called. Fails unless each may be called: a name with a private address beside a public one is
    /// not that of a public service.
    async fn checked(&self, target: &Target, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Failure> {
        let own = self.own.addresses().await;
        let (mut callable, mut unknown) = (Vec::new(), None);
        for address in addresses {
            match self.rules.check(address, &own) {
                // The port is that of the URL, whatever the resolver says.
                Ok(Ok(())) if address.port() == target.port() => callable.push(address),
                Ok(Ok(())) => return Err(Failure::Refused),
                Ok(Err(kind)) => {
                    let (host, kind) = (target.host(), kind.as_str());
                    tracing::debug!(%host, %address, kind, "a URL of a client leads to an address that is not called");
                    return Err(Failure::Refused);
                }
                // A machine without IPv6: nothing connects to this address.
                Err(error) => unknown = Some(error),
            }
        }
        match unknown {
            Some(error) if callable.is_empty() => Err(Failure::Unreachable(causes(&error))),
            _ => Ok(callable),
        }
    }

    /// Connects to the first of the addresses that accepts.
    async fn connect(&self, addresses: &[SocketAddr]) -> Result<Stream, Failure> {
        let mut last = Failure::Refused;
        for address in addresses.iter().take(ADDRESSES) {
            let connecting = self.dialer.connect(*address);
            match in_time(Step::Connect, self.timeouts.connect, connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = Failure::Unreachable(causes(&error)),
                Err(late) => last = late,
            }
        }
        Err(last)
    }

    /// TLS, with a certificate of the URL's host.
    async fn secured(&self, stream: Stream, target: &Target) -> Result<impl AsyncRead + AsyncWrite + Unpin, Failure> {
        let name = match target.host() {
            Host::Address(ip) => ServerName::IpAddress((*ip).into()),
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|error| Failure::Tls(causes(&error)))?,
        };
        let handshake = self.tls.connect(name, stream);
        let secured = in_time(Step::Tls, self.timeouts.tls, handshake).await?;
        secured.map_err(|error| Failure::Tls(causes(&error)))
    }
}

async fn in_time<T>(step: Step, limit: Duration, work: impl Future<Output = T>) -> Result<T, Failure> {
    timeout(limit, work).await.map_err(|_| Failure::Late { step, limit })
}

fn http_request(request: &Request) -> Result<HttpRequest<Full<Bytes>>, Failure> {
    let failed = |error: hyper::http::Error| Failure::Http(causes(&error));
    let mut http = HttpRequest::builder()
        .method(Method::POST)
        .uri(request.target.path().as_str())
        .body(Full::new(request.body.clone()))
        .map_err(failed)?;
    let headers = http.headers_mut();
    headers.clone_from(&request.headers);
    let host = HeaderValue::try_from(request.target.authority()).map_err(|error| failed(error.into()))?;
    headers.insert(HOST, host);
    let agent = HeaderValue::try_from(format!("sdk_relay/{SOFTWARE_VERSION}"));
    headers.insert(USER_AGENT, agent.map_err(|error| failed(error.into()))?);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(http)
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("rules", &self.0.rules)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
