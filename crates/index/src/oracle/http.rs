//! HTTP client of an Oracle. Every answer has a deadline and a size limit, and is parsed strictly.

use std::time::Duration;

use bitcoin::BlockHash;
use bitcoin::hex::FromHex;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::header::{ACCEPT, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sdk_relay_chain::BlockRef;
use sdk_relay_chain::rpc::Connector;
use sdk_relay_config::WrongUrl;
use sdk_relay_echo::causes;
use sdk_relay_platform::net::Proxy;
use sdk_relay_protocol::blindbit::{BlindbitBlockHash, BlindbitBlockHeight, BlindbitComputeIndex, BlindbitInfo};
use serde::de::DeserializeOwned;

use super::request::{
    AGAIN, CONNECT_WITHIN, IDLE_FOR, LARGEST_ANSWER, Named, NoAnswer, OracleBlock, SOME_PAUSE, Version, answer_within,
    client_tls, not_sent,
};

/// Longest pause after which a request is retried.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Longest quotation of an Oracle in an error: the text is untrusted.
const LONGEST_QUOTE: usize = 80;

/// HTTP to one Oracle.
#[derive(Debug)]
pub(super) struct Http {
    /// Without a slash at its end.
    base: String,
    client: Client<HttpsConnector<Connector>, Empty<Bytes>>,
    answer_within: Duration,
}

impl Http {
    /// The address was checked.
    pub(super) fn new(base: String, proxy: Option<Proxy>) -> Result<Self, WrongUrl> {
        let answer_within = answer_within(proxy.as_ref());
        let tls = client_tls(base.starts_with("https://"))?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Connector::new(CONNECT_WITHIN, proxy));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .build(connector);
        Ok(Self {
            base,
            client,
            answer_within,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.base
    }

    pub(super) async fn info(&self) -> Result<BlindbitInfo, NoAnswer> {
        self.get("info").await
    }

    /// Distinguishes the versions by routes that only one of them has.
    pub(super) async fn version(&self, info: &BlindbitInfo) -> Result<Version, NoAnswer> {
        let second: Result<BlindbitComputeIndex, _> = self.get(&format!("compute-index/{}", info.height)).await;
        match second {
            Ok(_) => return Ok(Version::V2),
            Err(NoAnswer::Status { .. } | NoAnswer::Malformed { .. }) => {}
            Err(error) => return Err(error),
        }
        match self.get::<BlindbitBlockHeight>("block-height").await {
            Ok(_) => Ok(Version::V1),
            Err(NoAnswer::Status { .. } | NoAnswer::Malformed { .. }) => Err(NoAnswer::NoOracle),
            Err(error) => Err(error),
        }
    }

    /// Its answer for this block; `None` if it has no block at this height, or another one.
    pub(super) async fn block(&self, version: Version, at: BlockRef) -> Result<Option<OracleBlock>, NoAnswer> {
        match version {
            Version::V1 => self.listed(at).await,
            Version::V2 => self.named(at).await,
        }
    }

    /// Whether it has this block, eligible transactions or not.
    pub(super) async fn has_block(&self, version: Version, at: BlockRef) -> Result<bool, NoAnswer> {
        match version {
            Version::V1 => self.names(at).await,
            Version::V2 => Ok(self.named(at).await?.is_some()),
        }
    }

    /// Whether version 1 has this block at its height.
    async fn names(&self, BlockRef { height, hash }: BlockRef) -> Result<bool, NoAnswer> {
        let named = has(self.get::<BlindbitBlockHash>(&format!("block-hash/{height}")).await)?;
        Ok(named.is_some_and(|n| n.block_hash.parse::<BlockHash>() == Ok(hash)))
    }

    async fn listed(&self, at: BlockRef) -> Result<Option<OracleBlock>, NoAnswer> {
        let path = format!("tweak-index/{}", at.height);
        let Some(tweaks) = has(self.get::<Vec<String>>(&path).await)? else {
            return Ok(None);
        };
        // An Oracle that knows the block but has not processed it yet returns an empty list, too. Blocks without tweaks
        // are never requested.
        if tweaks.is_empty() {
            return Ok(None);
        }
        if !self.names(at).await? {
            return Ok(None);
        }
        let tweaks = tweaks.iter().map(|text| point(&path, text));
        Ok(Some(OracleBlock::Listed(tweaks.collect::<Result<_, _>>()?)))
    }

    async fn named(&self, BlockRef { height, hash }: BlockRef) -> Result<Option<OracleBlock>, NoAnswer> {
        let path = format!("compute-index/{height}");
        let Some(BlindbitComputeIndex {
            block_identifier,
            index,
        }) = has(self.get(&path).await)?
        else {
            return Ok(None);
        };
        if block_identifier.block_hash.parse::<BlockHash>() != Ok(hash) {
            return Ok(None);
        }
        let named = index.iter().map(|item| {
            let wrong = |_| malformed(&path, format!("not a txid: {}", quote(&item.txid)));
            Ok(Named {
                txid: item.txid.parse().map_err(wrong)?,
                tweak: point(&path, &item.tweak)?,
            })
        });
        Ok(Some(OracleBlock::Named(named.collect::<Result<_, _>>()?)))
    }

    /// Sends a request; retries after the pause if the answer has `Retry-After`.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, NoAnswer> {
        for _ in 0..AGAIN {
            match self.get_once(path).await {
                Err(NoAnswer::Busy { pause, .. }) if pause <= LONGEST_PAUSE => tokio::time::sleep(pause).await,
                answer => return answer,
            }
        }
        self.get_once(path).await
    }

    async fn get_once<T: DeserializeOwned>(&self, path: &str) -> Result<T, NoAnswer> {
        let owned = || path.to_owned();
        let exchange = async {
            let request = Request::get(format!("{}/{path}", self.base))
                .header(ACCEPT, HeaderValue::from_static("application/json"))
                .body(Empty::new())
                .map_err(|e| NoAnswer::Unreachable(e.to_string()))?;
            let sent = self.client.request(request).await;
            let response = sent.map_err(|e| NoAnswer::Unreachable(not_sent(&e)))?;
            let status = response.status();
            if let Some(pause) = pause(status, response.headers()) {
                return Err(NoAnswer::Busy {
                    path: owned(),
                    status,
                    pause,
                });
            }
            if status != StatusCode::OK {
                return Err(NoAnswer::Status { path: owned(), status });
            }
            match Limited::new(response.into_body(), LARGEST_ANSWER).collect().await {
                Ok(body) => Ok(body.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => Err(NoAnswer::TooLong { path: owned() }),
                Err(error) => Err(NoAnswer::Unreachable(causes(error.as_ref()))),
            }
        };
        let limit = self.answer_within;
        let answer = tokio::time::timeout(limit, exchange).await;
        let body = answer.map_err(|_| NoAnswer::Late { path: owned(), limit })??;
        serde_json::from_slice(&body).map_err(|e| malformed(path, quote(&e.to_string())))
    }
}

/// The pause of `Retry-After` (RFC 9110, section 10.2.3). A date is treated as longer than the deadline of an answer.
fn pause(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let given = headers.get(RETRY_AFTER);
    match (status, given) {
        (StatusCode::TOO_MANY_REQUESTS, None) => Some(SOME_PAUSE),
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Some(given)) => {
            let seconds = given.to_str().ok().and_then(|text| text.trim().parse().ok());
            Some(seconds.map_or(LONGEST_PAUSE * 2, Duration::from_secs))
        }
        _ => None,
    }
}

/// Maps a status other than 200 to `None`, no such block: an Oracle answers 500 there, a relay 404, or 503 while it is
/// being built.
fn has<T>(answer: Result<T, NoAnswer>) -> Result<Option<T>, NoAnswer> {
    match answer {
        Ok(theirs) => Ok(Some(theirs)),
        Err(NoAnswer::Status { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Decodes 33 bytes; does not check that they are a point.
fn point(path: &str, text: &str) -> Result<[u8; 33], NoAnswer> {
    <[u8; 33]>::from_hex(text).map_err(|_| malformed(path, format!("not a tweak: {}", quote(text))))
}

fn malformed(path: &str, reason: String) -> NoAnswer {
    NoAnswer::Malformed {
        path: path.to_owned(),
        reason,
    }
}

/// An untrusted text, shortened and on one line.
fn quote(text: &str) -> String {
    let shown: String = text.chars().take(LONGEST_QUOTE).collect();
    shown.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requested_pause_is_parsed() {
        let with = |text: &'static str| HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
        let (many, away) = (StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(pause(many, &with("3")), Some(Duration::from_secs(3)));
        assert_eq!(pause(away, &with("120")), Some(Duration::from_secs(120)));
        assert_eq!(pause(many, &HeaderMap::new()), Some(SOME_PAUSE));
        assert!(pause(many, &with("Wed, 21 Oct 2026 07:28:00 GMT")).is_some_and(|pause| pause > LONGEST_PAUSE));
        // An index that is being built sends no `Retry-After`: the block does not exist yet.
        assert_eq!(pause(away, &HeaderMap::new()), None);
        assert_eq!(pause(StatusCode::NOT_FOUND, &with("3")), None);
    }
}
