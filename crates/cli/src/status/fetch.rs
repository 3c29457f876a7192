//! The answers of a relay's HTTP API.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sdk_relay_chain::rpc::{Connector, proxy_error};
use sdk_relay_client::{Trust, can_be_trusted, speaks_no_tls, tls_error, tls_reason};
use sdk_relay_echo::{causes, short};
use sdk_relay_platform::net::{Proxy, SpeaksTls, find_cause};
use sdk_relay_scan::{advice, unusable};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::ring;
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
    trust: Trust,
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
    /// `trust`: the certificates to trust for `https://`.
    pub(super) fn new(
        url: String,
        token: Option<Zeroizing<String>>,
        trust: Trust,
        proxy: Option<Proxy>,
    ) -> anyhow::Result<Self> {
        let answer_within = if proxy.is_some() {
            PROXIED_ANSWER_WITHIN
        } else {
            ANSWER_WITHIN
        };
        let tls = if url.starts_with("https://") {
            trust.config().map_err(|error| unusable(&trust, &error))?
        } else {
            // Without TLS nothing has to be trusted.
            ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .context("TLS is not available")?
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth()
        };
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
            trust,
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
        let uri = format!("{}{path}", short(&self.url));
        let (status, body) = self.exchange(path).await?;
        match status {
            // 503 has the reasons.
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => {}
            status => bail!("{uri} answers {status}: is this the HTTP API of a relay?"),
        }
        serde_json::from_slice(&body).with_context(|| format!("{uri} does not answer like a relay"))
    }

    /// Status and body of an answer. A refused token is an error.
    async fn exchange(&self, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
        let within = self.answer_within;
        let uri = format!("{}{path}", self.url);
        let shown = short(&self.url);
        let mut request = Request::get(&uri).header(ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let request = request
            .body(Empty::new())
            .with_context(|| format!("{shown} is not the URL of a relay: expected http://HOST:PORT"))?;
        let exchange = async {
            let answer = self
                .client
                .request(request)
                .await
                .map_err(|error| self.unanswered(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
            let body = body.map_err(|error| anyhow!("the answer of {shown} is incomplete: {error}"))?;
            anyhow::Ok((status, body.to_bytes()))
        };
        let Ok(answer) = timeout(within, exchange).await else {
            bail!("{shown} does not answer within {} s", within.as_secs());
        };
        match answer? {
            (StatusCode::UNAUTHORIZED, _) if self.token.is_some() => {
                bail!("{shown} refuses the token: expected auth.read_token or auth.admin_token of this relay")
            }
            (StatusCode::UNAUTHORIZED, _) => {
                bail!("{shown} needs a token: name a file with it (--token-file), or set SDK_RELAY_TOKEN")
            }
            answer => Ok(answer),
        }
    }

    /// Why there is no answer, and what to do.
    fn unanswered(&self, error: &(dyn Error + 'static)) -> anyhow::Error {
        let shown = short(&self.url);
        if find_cause::<SpeaksTls>(error).is_some() {
            return anyhow!("{shown} speaks TLS: use https:// in place of http://");
        }
        if let Some(tls) = tls_error(error) {
            if speaks_no_tls(tls) {
                return anyhow!("{shown} does not speak TLS: use http:// in place of https://");
            }
            let advice = advice(&self.trust, can_be_trusted(tls));
            return anyhow!("TLS handshake with {shown} failed: {}{advice}", tls_reason(tls));
        }
        anyhow!(
            "no relay answers at {shown} ({}): start it, or name another one with --url",
            proxy_error(error).map_or_else(|| causes(error), ToString::to_string),
        )
    }
}

/// A URL of the HTTP API without a slash at its end. `http://` may be left out.
pub(super) fn http_url(given: &str) -> anyhow::Result<String> {
    let url = given.trim_end_matches('/');
    match url.split_once("://") {
        Some(("http" | "https", _)) => Ok(url.to_owned()),
        Some(("ws" | "wss", _)) => bail!(
            "{} is a URL of the WebSocket API: expected one of the HTTP API, http://HOST:PORT or https://HOST:PORT (port 8091 unless http_url says otherwise)",
            short(given)
        ),
        Some(_) => bail!(
            "{} is not the URL of a relay: expected http://HOST:PORT or https://HOST:PORT",
            short(given)
        ),
        None => Ok(format!("http://{url}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_http_may_be_left_out() {
        for (given, url) in [
            ("http://localhost:8091/", "http://localhost:8091"),
            ("https://relay.example", "https://relay.example"),
            ("localhost:8091", "http://localhost:8091"),
            ("[::1]:8091", "http://[::1]:8091"),
        ] {
            assert_eq!(http_url(given).unwrap(), url);
        }
        for (given, words) in [
            (
                "ws://localhost:8090",
                "ws://localhost:8090 is a URL of the WebSocket API: expected one of the HTTP API",
            ),
            (
                "ftp://localhost",
                "ftp://localhost is not the URL of a relay: expected http://HOST:PORT",
            ),
        ] {
            let error = http_url(given).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
    }
}
