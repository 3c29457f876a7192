//! JSON-RPC to the node, independent of the client that the relay uses.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::AUTHORIZATION;
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sdk_relay_echo::causes;
use serde_json::{Value, json};

/// The slowest call of a test mines several hundred blocks.
const REPLY: Duration = Duration::from_secs(60);

/// The node closes connections that are idle for 30 s (`-rpcservertimeout`); the client closes earlier.
const IDLE: Duration = Duration::from_secs(20);

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// No reply, or an invalid one.
    #[error("{method}: {reason}")]
    NoReply {
        /// RPC method.
        method: String,
        /// The reason.
        reason: String,
    },
    /// The node's own error.
    #[error("{method}: {message} (code {code})")]
    Node {
        /// RPC method.
        method: String,
        /// Error code (`src/rpc/protocol.h` of Bitcoin Core).
        code: i64,
        /// The node's message.
        message: String,
    },
}

/// A client of one node.
#[derive(Clone, Debug)]
pub struct Rpc {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    authorization: String,
}

impl Rpc {
    /// A client for `http://127.0.0.1:PORT`; `credentials` are `user:password`.
    pub(crate) fn new(url: &str, credentials: &str) -> Rpc {
        let mut connector = HttpConnector::new();
        // Head and body of a request are two writes: with Nagle's algorithm the second would wait for the node's
        // delayed acknowledgement.
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Rpc {
            client,
            url: url.to_owned(),
            authorization: format!("Basic {}", STANDARD.encode(credentials)),
        }
    }

    /// Calls `method` with an array (or an object, by name) of parameters and gives its `result`.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let body = json!({"jsonrpc": "1.0", "id": 0, "method": method, "params": params}).to_string();
        let request = Request::post(&self.url)
            .header(AUTHORIZATION, &self.authorization)
            .body(Full::from(body));
        let no_reply = |reason: String| RpcError::NoReply {
            method: method.to_owned(),
            reason,
        };
        let request = request.map_err(|e| no_reply(e.to_string()))?;
        let exchange = async {
            let reply = self.client.request(request).await.map_err(|e| no_reply(causes(&e)))?;
            let status = reply.status();
            let body = reply
                .into_body()
                .collect()
                .await
                .map_err(|e| no_reply(causes(&e)))?
                .to_bytes();
            Ok((status, body))
        };
        let (status, body) = tokio::time::timeout(REPLY, exchange)
            .await
            .map_err(|_| no_reply(format!("nothing within {REPLY:?}")))??;
        if status == StatusCode::UNAUTHORIZED {
            return Err(no_reply("the node refuses the credentials".to_owned()));
        }
        let mut reply: Value =
            serde_json::from_slice(&body).map_err(|e| no_reply(format!("status {status}, no JSON: {e}")))?;
        match reply["error"].take() {
            Value::Null => Ok(reply["result"].take()),
            error => Err(RpcError::Node {
                method: method.to_owned(),
                code: error["code"].as_i64().unwrap_or_default(),
                message: error["message"].as_str().unwrap_or_default().to_owned(),
            }),
        }
    }
}
