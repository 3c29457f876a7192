//! The answers of a relay's HTTP API.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sdk_relay_chain::rpc::{Connector, causes, proxy_error};
use sdk_relay_platform::net::Proxy;
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

/// Timeout of an answer: the relay gives all of them from memory.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The same through a proxy, which takes up to 25 s to connect (`Proxy::connect`).
const PROXIED_ANSWER_WITHIN: Duration = Duration::from_secs(40);
/// Largest answer: a list of relays has at most a thousand entries of about 1 KB.
const LARGEST_ANSWER: usize = 4 << 20;

/// A relay, and how to access it.
pub(super) struct Relay {
    url: String,
    token: Option<HeaderValue>,
    client: Client<HttpsConnector<Connector>, Empty<Bytes>>,
    answer_within: Duration,
}

/// Its answers, as it has sent them.
#[derive(Debug, Serialize)]
pub(super) struct Answers {
    /// `GET /health`.
    pub(super) health: Value,
    /// `GET /health/ready`.
    pub(super) ready: Value,
    /// `GET /metrics`.
    pub(super) metrics: Value,
    /// `GET /relays`.
    pub(super) relays: Value,
    /// `GET /config`.
    pub(super) config: Value,
}

impl Relay {
    /// `ca`: the only certificates to trust for `https://`.
    pub(super) fn new(
        url: String,
        token: Option<Zeroizing<String>>,
        ca: Option<PathBuf>,
        proxy: Option<Proxy>,
    ) -> anyhow::Result<Self> {
        let answer_within = if proxy.is_some() {
            PROXIED_ANSWER_WITHIN
        } else {
            ANSWER_WITHIN
        };
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .context("TLS is not available")?
            .with_root_certificates(trusted(&url, ca.as_deref())?)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Connector::new(ANSWER_WITHIN, proxy));
        let header = |token: Zeroizing<String>| {
            let text = Zeroizing::new(format!("Bearer {}", token.trim()));
            let mut value = HeaderValue::from_str(&text).context("the token is not printable ASCII")?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        };
        Ok(Self {
            url,
            token: token.map(header).transpose()?,
            client: Client::builder(TokioExecutor::new()).build(connector),
            answer_within,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Requests everything, one after the other: a relay without an answer to the first has none to the others.
    pub(super) async fn fetch(&self) -> anyhow::Result<Answers> {
        Ok(Answers {
            health: self.get("/health").await?,
            ready: self.get("/health/ready").await?,
            metrics: self.get("/metrics").await?,
            relays: self.get("/relays").await?,
            config: self.get("/config").await?,
        })
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let uri = format!("{}{path}", self.url);
        let mut request = Request::get(&uri).header(ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let request = request
            .body(Empty::new())
            .with_context(|| format!("{} is not the URL of a relay: expected http://HOST:PORT", self.url))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| {
                anyhow::anyhow!(
                    "no relay answers at {} ({}): start it, or name another one with --url",
                    self.url,
                    proxy_error(&error).map_or_else(|| causes(&error), ToString::to_string)
                )
            })?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("the answer to {uri} is incomplete: {error}"))?;
            anyhow::Ok((status, body.to_bytes()))
        };
        let Ok(answer) = timeout(self.answer_within, exchange).await else {
            bail!("{uri} does not answer within {} s", self.answer_within.as_secs());
        };
        let (status, body) = answer?;
        match status {
            // 503 has the reasons.
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => {}
            StatusCode::UNAUTHORIZED if self.token.is_some() => {
                bail!(
                    "{} refuses the token: expected auth.read_token or auth.admin_token of this relay",
                    self.url
                );
            }
            StatusCode::UNAUTHORIZED => {
                bail!(
                    "{} needs a token: name a file with it (--token-file), or set SDK_RELAY_TOKEN",
                    self.url
                );
            }
            status => bail!("{uri} answers {status}: is this the HTTP API of a relay?"),
        }
        serde_json::from_slice(&body).with_context(|| format!("{uri} does not answer like a relay"))
    }
}

/// The certificates to trust; none without TLS.
fn trusted(url: &str, ca: Option<&Path>) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if !url.starts_with("https://") {
        return Ok(roots);
    }
    let Some(file) = ca else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let cannot = || format!("cannot read certificates from {}", file.display());
    for certificate in CertificateDer::pem_file_iter(file).with_context(cannot)? {
        roots.add(certificate.with_context(cannot)?).with_context(cannot)?;
    }
    Ok(roots)
}
