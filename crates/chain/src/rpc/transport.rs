//! HTTP to one node: the pool of connections, deadlines, limits and credentials.

use std::{
    fmt, io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    http::uri::Authority,
};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use sdk_relay_echo::causes;
use sdk_relay_platform::net::{Proxy, find_cause};
use tokio::sync::Semaphore;

use super::{
    Auth, Connector, RpcError,
    auth::{Credentials, Presented},
    connector::proxy_error,
    error::excerpt,
    metrics::RpcMetrics,
};

/// Concurrent requests. An older node has 4 threads and queues 16 requests before it answers 503; other programs need
/// some of them.
pub const MAX_IN_FLIGHT: usize = 8;
/// The largest reply that is read: `getblock` verbosity 3 of a full block is about 30 MiB, its worst case three times
/// that.
pub const MAX_REPLY_BYTES: usize = 128 << 20;
/// A running node accepts a connection within one round trip, even between continents.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The node closes a connection that is idle for 30 s (`-rpcservertimeout`); the client closes earlier, so that no
/// request uses a connection that is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Status and whole body of a reply.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// HTTP to one node.
pub(super) struct Transport {
    at: String,
    client: Client<Connector, Full<Bytes>>,
    credentials: Credentials,
    in_flight: Semaphore,
    breaks: AtomicU64,
    metrics: RpcMetrics,
}

impl Transport {
    pub(super) fn new(url: &str, auth: Auth, proxy: Option<Proxy>) -> Result<Self, RpcError> {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IN_FLIGHT)
            .build(Connector::new(CONNECT_TIMEOUT, proxy));
        Ok(Self {
            at: authority(url)?,
            client,
            credentials: Credentials::new(auth),
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            breaks: AtomicU64::new(0),
            metrics: RpcMetrics::default(),
        })
    }

    pub(super) fn at(&self) -> &str {
        &self.at
    }

    pub(super) fn breaks(&self) -> u64 {
        self.breaks.load(Ordering::Acquire)
    }

    pub(super) fn metrics(&self) -> &RpcMetrics {
        &self.metrics
    }

    /// An authorised JSON request. If the node refuses the cookie, it is read again, or the next one is tried.
    pub(super) async fn post(&self, path: &str, body: Vec<u8>, timeout: Duration) -> Result<Reply, RpcError> {
        let body = Bytes::from(body);
        let mut presented = self.credentials.present().await;
        let mut refused = Vec::new();
        let reply = loop {
            let reply = self
                .exchange(Method::POST, path, body.clone(), &presented, timeout)
                .await?;
            if reply.status != StatusCode::UNAUTHORIZED {
                break reply;
            }
            refused.push(presented.clone());
            match self.credentials.renewed(&refused).await {
                Some(renewed) => presented = renewed,
                None => break reply,
            }
        };
        let at = self.at.clone();
        match reply.status {
            // The node refuses nothing that it has not seen.
            StatusCode::UNAUTHORIZED if self.credentials.lacks_cookie(&presented) => Err(RpcError::NoCookie {
                at,
                reason: presented.description,
            }),
            StatusCode::UNAUTHORIZED => Err(RpcError::Unauthorized {
                at,
                reason: presented.description,
            }),
            StatusCode::FORBIDDEN => Err(RpcError::Unauthorized {
                at,
                reason: "HTTP 403: rpcallowip or rpcwhitelist of the node does not allow this relay".to_owned(),
            }),
            StatusCode::SERVICE_UNAVAILABLE => Err(RpcError::Busy {
                at,
                reason: excerpt(&reply.body),
            }),
            _ => Ok(reply),
        }
    }

    /// A request of the REST interface, without credentials.
    pub(super) async fn get(&self, path: &str, timeout: Duration) -> Result<Reply, RpcError> {
        let nothing = Presented {
            header: None,
            description: String::new(),
        };
        let reply = self
            .exchange(Method::GET, path, Bytes::new(), &nothing, timeout)
            .await?;
        // The same status as during the start of the node; only the text differs (`src/httpserver.cpp`).
        if reply.status == StatusCode::SERVICE_UNAVAILABLE && excerpt(&reply.body).contains("queue") {
            return Err(RpcError::Busy {
                at: self.at.clone(),
                reason: excerpt(&reply.body),
            });
        }
        Ok(reply)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        presented: &Presented,
        timeout: Duration,
    ) -> Result<Reply, RpcError> {
        // The deadline includes the wait for a permit.
        let exchange = async {
            let _turn = self.in_flight.acquire().await.map_err(|e| self.broken(e.to_string()))?;
            let request = self.request(method, path, body, presented)?;
            let response = self.client.request(request).await.map_err(|e| self.not_sent(&e))?;
            let status = response.status();
            match Limited::new(response.into_body(), MAX_REPLY_BYTES).collect().await {
                Ok(body) => Ok(Reply {
                    status,
                    body: body.to_bytes(),
                }),
                Err(error) if error.is::<LengthLimitError>() => {
                    Err(RpcError::malformed(path, format!("it exceeds {MAX_REPLY_BYTES} bytes")))
                }
                Err(error) => Err(self.broken(causes(error.as_ref()))),
            }
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.broken(format!("no reply within {} s", timeout.as_secs()))),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        presented: &Presented,
    ) -> Result<Request<Full<Bytes>>, RpcError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.at));
        if let Some(header) = &presented.header {
            request = request.header(AUTHORIZATION, header);
        }
        request
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Full::new(body))
            .map_err(|e| RpcError::Address { reason: e.to_string() })
    }

    fn not_sent(&self, error: &(dyn std::error::Error + 'static)) -> RpcError {
        match proxy_error(error) {
            None => self.broken(reason_of(error)),
            Some(error) if error.is_of_proxy() => {
                self.note_break();
                RpcError::Proxy {
                    at: self.at.clone(),
                    reason: error.to_string(),
                }
            }
            Some(error) => self.broken(error.to_string()),
        }
    }

    fn broken(&self, reason: String) -> RpcError {
        self.note_break();
        RpcError::Unreachable {
            at: self.at.clone(),
            reason,
        }
    }

    /// Records a connection break: after a restart the node has another cookie.
    fn note_break(&self) {
        self.breaks.fetch_add(1, Ordering::AcqRel);
        self.credentials.forget();
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("at", &self.at)
            .field("auth", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// `HOST:PORT` of an `http` URL. The URL itself is not repeated in the error: it may hold a password. Whether the port,
/// if given, is a number from 1 to 65535. The library ignores any other value and uses the default port of the scheme.
pub fn has_usable_port(authority: &Authority) -> bool {
    authority.as_str() == authority.host() || authority.port_u16().is_some_and(|port| port > 0)
}

fn authority(url: &str) -> Result<String, RpcError> {
    let refuse = |reason: &str| {
        Err(RpcError::Address {
            reason: reason.to_owned(),
        })
    };
    let Ok(uri) = url.parse::<Uri>() else {
        return refuse("not a URL");
    };
    match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(authority)) if authority.as_str().contains('@') => {
            refuse("user and password have their own settings")
        }
        (Some("http"), Some(_)) if !matches!(uri.path(), "" | "/") => refuse("it must not have a path"),
        // The credentials would go to port 80.
        (Some("http"), Some(authority)) if !has_usable_port(authority) => {
            refuse("the port must be a number from 1 to 65535")
        }
        (Some("http"), Some(authority)) => Ok(authority.as_str().to_owned()),
        (Some(_), _) => refuse("the scheme must be http"),
        (None, _) => refuse("the scheme http is missing"),
    }
}
/// Why a request was not sent or answered: the error of the system, which the messages of the client's layers only
/// repeat in their own words.
fn reason_of(error: &(dyn std::error::Error + 'static)) -> String {
    match find_cause::<io::Error>(error) {
        Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            "connection refused: no program listens there".to_owned()
        }
        _ => causes(error),
    }
}
