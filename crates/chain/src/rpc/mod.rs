//! A JSON-RPC client for a Bitcoin node: plain HTTP/1.1 over a pool of kept-alive connections.
//!
//! Guarantees: no error, `Debug` or `Display` of this module shows a password or a cookie; every request has a deadline
//! and every reply a size limit; at most [`MAX_IN_FLIGHT`] requests are in flight, however many tasks share the client.

mod auth;
mod connector;
mod envelope;
mod error;
mod metrics;
mod transport;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::StatusCode;
use sdk_relay_platform::net::Proxy;
use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};
use tokio::time::Instant;

pub use auth::{Auth, cookie_advice};
pub use connector::{Connector, HttpStream, proxy_error};
pub(crate) use error::excerpt;
pub use error::{RpcError, ServerError, code};
pub use metrics::RpcMetrics;
pub use transport::{MAX_IN_FLIGHT, MAX_REPLY_BYTES, has_usable_port};

pub(crate) use envelope::RawOutcome;
use transport::Transport;

/// Calls in one HTTP request. A node processes a batch in one thread, about 20 µs per call, and answers when it is
/// complete: a larger batch is not faster and delays the first answer.
pub const MAX_BATCH: usize = 200;
/// Timeout of a call that a healthy node answers immediately. While it validates a block, it may hold its lock for
/// seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Timeout of calls that read blocks or wallets from disk: `getblock` verbosity 3 takes seconds on a slow disk.
const LONG_CALL_TIMEOUT: Duration = Duration::from_secs(180);

/// A client of one node. Clones share connections and credentials.
#[derive(Clone, Debug)]
pub struct RpcClient {
    transport: Arc<Transport>,
    /// Path of the requests: `/`, or `/wallet/NAME`.
    path: Arc<str>,
}

impl RpcClient {
    /// A client for `url` (`http://HOST:PORT`). Does no I/O.
    ///
    /// # Errors
    /// [`RpcError::Address`] when `url` is not such an address; credentials in it are refused; pass them in `auth`.
    pub fn new(url: &str, auth: Auth) -> Result<Self, RpcError> {
        Self::with_proxy(url, auth, None)
    }

    /// The same, with all connections through this proxy.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_proxy(url: &str, auth: Auth, proxy: Option<Proxy>) -> Result<Self, RpcError> {
        Ok(Self {
            transport: Arc::new(Transport::new(url, auth, proxy)?),
            path: Arc::from("/"),
        })
    }

    /// The same client, for the endpoint of the wallet `name`.
    pub fn wallet(&self, name: &str) -> Self {
        Self {
            transport: Arc::clone(&self.transport),
            path: Arc::from(format!("/wallet/{}", percent_encoded(name))),
        }
    }

    /// `HOST:PORT` of the node, for messages.
    pub fn at(&self) -> &str {
        self.transport.at()
    }

    /// One call. `params` is a JSON array, or an object of named arguments.
    ///
    /// # Errors
    /// Every [`RpcError`] but `Address`; an error of the node is [`RpcError::Server`].
    pub async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, RpcError> {
        let body = envelope::request(method, &params);
        self.timed(method, async {
            let reply = self.transport.post(&self.path, body, timeout_of(method)).await?;
            envelope::reply(self.at(), method, reply.status, &reply.body)
        })
        .await
    }

    /// Records time and outcome of a request.
    async fn timed<T>(&self, request: &str, reply: impl Future<Output = Result<T, RpcError>>) -> Result<T, RpcError> {
        let begun = Instant::now();
        let reply = reply.await;
        let metrics = self.transport.metrics();
        metrics.record(request, begun.elapsed(), reply.as_ref().err());
        reply
    }

    /// Many calls, each with its own outcome, in the given order. One HTTP request carries up to [`MAX_BATCH`] calls;
    /// more are split into consecutive requests.
    ///
    /// # Errors
    /// As [`call`](Self::call), if the whole batch failed; [`RpcError::Warming`] if the node is starting.
    pub async fn batch(&self, calls: Vec<(&str, Value)>) -> Result<Vec<Result<Value, ServerError>>, RpcError> {
        let outcomes = self.batch_raw(&calls).await?;
        let read = |raw: Box<RawValue>| serde_json::from_str(raw.get());
        let outcomes = outcomes.into_iter().map(|outcome| match outcome {
            Ok(raw) => raw
                .map_or(Ok(Value::Null), read)
                .map(Ok)
                .map_err(|e| RpcError::malformed("a batch", e)),
            Err(error) => Ok(Err(error)),
        });
        outcomes.collect()
    }

    /// [`batch`](Self::batch) with the results as the node wrote them, for those that hold amounts: these are read as
    /// decimals, not as floats.
    pub(crate) async fn batch_raw(&self, calls: &[(&str, Value)]) -> Result<Vec<RawOutcome>, RpcError> {
        let mut outcomes = Vec::with_capacity(calls.len());
        for part in calls.chunks(MAX_BATCH) {
            let timeout = part
                .iter()
                .map(|(method, _)| timeout_of(method))
                .max()
                .unwrap_or(CALL_TIMEOUT);
            let batch = self.timed(metrics::BATCH, async {
                let reply = self.transport.post(&self.path, envelope::batch(part), timeout).await?;
                envelope::batch_reply(self.at(), part, reply.status, &reply.body)
            });
            outcomes.append(&mut batch.await?);
        }
        Ok(outcomes)
    }

    /// `GET path` of the node's REST interface (`/rest/…`), which needs no credentials. `None` when it answers 404.
    ///
    /// # Errors
    /// [`RpcError::Rest`] for any other status than 200 and 404; transport errors as in [`call`](Self::call).
    pub async fn rest_get(&self, path: &str) -> Result<Option<Bytes>, RpcError> {
        match self.rest(path).await? {
            (StatusCode::OK, body) => Ok(Some(body)),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, body) => Err(error::rest(self.at(), path, status, &body)),
        }
    }

    /// As [`rest_get`](Self::rest_get), with status and body: the body of a 404 names what the node does not have.
    pub(crate) async fn rest(&self, path: &str) -> Result<(StatusCode, Bytes), RpcError> {
        let reply = self.transport.get(path, LONG_CALL_TIMEOUT);
        let reply = self.timed(metrics::REST, reply).await?;
        Ok((reply.status, reply.body))
    }

    /// Times and errors of the requests of all clones.
    pub fn metrics(&self) -> &RpcMetrics {
        self.transport.metrics()
    }

    /// Number of connection breaks so far. After a change the node may have been restarted, or replaced.
    pub(crate) fn breaks(&self) -> u64 {
        self.transport.breaks()
    }
}

fn timeout_of(method: &str) -> Duration {
    match method {
        "getblock" | "loadwallet" | "createwallet" | "generatetoaddress" | "importdescriptors" | "deriveaddresses" => {
            LONG_CALL_TIMEOUT
        }
        _ => CALL_TIMEOUT,
    }
}

/// Percent encoding of a path segment (RFC 3986, section 2.1): all but the unreserved characters.
fn percent_encoded(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wallet_names_become_one_path_segment() {
        assert_eq!(percent_encoded("relay-1"), "relay-1");
        assert_eq!(percent_encoded("a/b ü"), "a%2Fb%20%C3%BC");
    }

    #[test]
    fn nothing_secret_in_debug() {
        let password = zeroize::Zeroizing::new("hunter2".to_owned());
        let client = RpcClient::new(
            "http://127.0.0.1:18443",
            Auth::UserPassword {
                user: "relay".into(),
                password,
            },
        )
        .unwrap();
        let shown = format!("{client:?}");
        assert!(
            shown.contains("127.0.0.1:18443") && !shown.contains("hunter2"),
            "{shown}"
        );
    }

    #[test]
    fn addresses_that_are_refused() {
        for url in [
            "",
            "127.0.0.1",
            "https://127.0.0.1:8332",
            "http://",
            "http://relay:hunter2@127.0.0.1:8332",
        ] {
            let error = RpcClient::new(url, Auth::None).unwrap_err();
            assert!(matches!(error, RpcError::Address { .. }), "{url}: {error:?}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    /// A server that refuses every request, as a node does that has not been sent its cookie.
    async fn refusing() -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                if stream.read(&mut request).await.is_ok() {
                    let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    drop(stream.write_all(answer).await);
                }
            }
        });
        url
    }

    #[tokio::test]
    async fn a_cookie_file_that_cannot_be_read_is_not_refused_by_the_node() {
        let url = refusing().await;
        let dir = tempfile::tempdir().unwrap();
        let (absent, empty) = (dir.path().join("absent"), dir.path().join("empty"));
        std::fs::write(&empty, "").unwrap();
        for (file, reason, todo) in [
            (&absent, "No such file or directory", "correct bitcoin_core.cookie_file"),
            (
                &dir.path().to_owned(),
                "it is a directory, not a regular file",
                "expected the file .cookie",
            ),
            (&empty, "it is empty", "expected the file .cookie"),
        ] {
            let client = RpcClient::new(&url, Auth::CookieFile(file.clone())).unwrap();
            let error = client.call::<Value>("getblockcount", json!([])).await.unwrap_err();
            assert!(matches!(error, RpcError::NoCookie { .. }), "{error:?}");
            let error = crate::SourceError::from(error).to_string();
            let named = format!("cannot read the cookie file {}: {reason}", file.display());
            assert!(
                error.starts_with("no credentials for 127.0.0.1:") && error.contains(&named),
                "{error}"
            );
            assert!(error.contains(todo) && !error.contains("refuses"), "{error}");
        }
        let denied = cookie_advice(std::io::ErrorKind::PermissionDenied);
        assert!(
            denied.contains("group") && denied.contains("sdk_relay-grant-node"),
            "{denied}"
        );
        // A cookie that was sent is refused.
        let cookie = dir.path().join("cookie");
        std::fs::write(&cookie, "\u{feff}__cookie__:5ec2e7\r\n").unwrap();
        let client = RpcClient::new(&url, Auth::CookieFile(cookie)).unwrap();
        let error = client.call::<Value>("getblockcount", json!([])).await.unwrap_err();
        assert!(matches!(&error, RpcError::Unauthorized { .. }), "{error:?}");
        assert!(!error.to_string().contains("5ec2e7"), "{error}");
    }
}
