//! One attempt: posts a message to an endpoint.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sdk_relay_chain::rpc::{Connector, proxy_error};
use sdk_relay_config::WebhookConfig;
use sdk_relay_echo::causes;
use sdk_relay_platform::clock::unix_now;
use sdk_relay_telemetry::SOFTWARE_VERSION;
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::backoff::retry_after;
use crate::error::StartError;
use crate::message::Message;
use crate::signature::Keys;
use crate::timeouts::Timeouts;

/// Timeout of the connection; an intercontinental one needs a tenth of it.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Idle timeout of connections: shorter than that of most servers and proxies.
const IDLE_FOR: Duration = Duration::from_secs(15);
/// Of the body of an answer, which says nothing to the relay, so much is read that the connection can be used again.
const MOST_READ: usize = 16 << 10;
/// How long that may take.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the endpoint cannot be reached: {0}")]
    Unreachable(String),
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
    #[error("the endpoint answered with status {}{}", .status.as_u16(), hint(.status))]
    Status {
        status: StatusCode,
        /// `Retry-After`.
        asked: Option<Duration>,
    },
}

fn hint(status: &StatusCode) -> &'static str {
    match *status {
        _ if status.is_redirection() => ": redirects are not followed; set url to the address that it leads to",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ": compare the secret with that of the endpoint",
        _ => "",
    }
}

impl Failure {
    /// The status of the answer, if there was one.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Unreachable(_) | Self::Late(_) => None,
        }
    }

    /// The pause that the endpoint has asked for.
    pub(crate) fn asked(&self) -> Option<Duration> {
        match self {
            Self::Status { asked, .. } => *asked,
            Self::Unreachable(_) | Self::Late(_) => None,
        }
    }

    /// Whether the endpoint says that it wants no more messages (Standard Webhooks: 410).
    pub(crate) fn is_final(&self) -> bool {
        self.status() == Some(StatusCode::GONE)
    }
}

/// Posts a message once.
#[async_trait]
pub(crate) trait Post: Send + Sync {
    /// The status of the answer if it is one of success. Ends within the time limit of an attempt.
    async fn post(&self, message: &Message) -> Result<StatusCode, Failure>;
}

/// Posts over HTTP.
pub(crate) struct HttpPost {
    client: Client<HttpsConnector<Connector>, Full<Bytes>>,
    url: Uri,
    keys: Arc<Keys>,
    limit: Duration,
}

impl HttpPost {
    pub(crate) fn new(config: &WebhookConfig, keys: Arc<Keys>, timeouts: &Timeouts) -> Result<Self, StartError> {
        let url: Uri = config.url.expose().parse().map_err(|_| StartError::Url {
            name: config.name.clone(),
        })?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(client_tls(url.scheme_str() == Some("https"))?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Connector::new(CONNECT_WITHIN, config.proxy.clone()));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .build(connector);
        let limit = match config.proxy {
            Some(_) => timeouts.proxied_attempt,
            None => timeouts.attempt,
        };
        Ok(Self {
            client,
            url,
            keys,
            limit,
        })
    }

    fn request(&self, message: &Message) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let timestamp = unix_now();
        Request::post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, format!("sdk_relay/{SOFTWARE_VERSION}"))
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", timestamp)
            .header(
                "webhook-signature",
                self.keys.sign(&message.id, timestamp, &message.body),
            )
            .body(Full::from(message.body.clone()))
    }
}

#[async_trait]
impl Post for HttpPost {
    async fn post(&self, message: &Message) -> Result<StatusCode, Failure> {
        let request = self
            .request(message)
            .map_err(|error| Failure::Unreachable(causes(&error)))?;
        let response = match timeout(self.limit, self.client.request(request)).await {
            Err(_) => return Err(Failure::Late(self.limit)),
            Ok(Err(error)) => return Err(Failure::Unreachable(not_sent(&error))),
            Ok(Ok(response)) => response,
        };
        let status = response.status();
        let asked = retry_after(response.headers());
        // Whether its body is complete does not matter.
        drop(timeout(READ_WITHIN, drain(response.into_body())).await);
        if status.is_success() {
            Ok(status)
        } else {
            Err(Failure::Status { status, asked })
        }
    }
}

async fn drain(mut body: Incoming) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > MOST_READ {
            return;
        }
    }
}

/// TLS with the certificates that the system trusts, which are read only if they are needed.
fn client_tls(is_needed: bool) -> Result<ClientConfig, StartError> {
    let mut roots = RootCertStore::empty();
    if is_needed {
        // Certificates that the library cannot parse are common in system stores; the others suffice.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| StartError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(tls)
}

/// What the proxy says, if it is the reason, without the layers above it.
fn not_sent(error: &(dyn std::error::Error + 'static)) -> String {
    proxy_error(error).map_or_else(|| causes(error), ToString::to_string)
}

#[cfg(test)]
mod tests;
