//! A small HTTP client for tests: one request on a fresh connection, the whole reply.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sdk_relay_echo::causes;

/// Longer than any reply on loopback takes; a hanging server fails its test instead of blocking the run.
const REPLY: Duration = Duration::from_secs(30);

/// A reply of a server.
#[derive(Clone, Debug)]
pub struct HttpReply {
    /// Status code.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl HttpReply {
    /// The body as text. Panics when it is not UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_else(|e| panic!("the body is not UTF-8 ({e}): {:?}", self.body))
    }

    /// The body as JSON. Panics when it is not.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("the body is not JSON ({e}): {:?}", self.body))
    }
}

/// `GET url`. Panics when no reply comes.
pub async fn http_get(url: &str) -> HttpReply {
    http_send(Request::get(url).body(Full::default()).expect("a URL")).await
}

/// `POST url` with a JSON body. Panics when no reply comes.
pub async fn http_post(url: &str, body: &serde_json::Value) -> HttpReply {
    let body = Full::from(body.to_string());
    let request = Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(CONTENT_TYPE, "application/json")
        .body(body);
    http_send(request.expect("a URL")).await
}

/// Any request. Panics when no reply comes.
pub async fn http_send(request: Request<Full<Bytes>>) -> HttpReply {
    let target = format!("{} {}", request.method(), request.uri());
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build_http();
    let reply = tokio::time::timeout(REPLY, async {
        let reply = client.request(request).await.map_err(|e| causes(&e))?;
        let (head, body) = reply.into_parts();
        let body = body.collect().await.map_err(|e| causes(&e))?.to_bytes();
        Ok::<_, String>(HttpReply {
            status: head.status,
            headers: head.headers,
            body,
        })
    });
    match reply.await {
        Ok(Ok(reply)) => reply,
        Ok(Err(reason)) => panic!("{target}: {reason}"),
        Err(_) => panic!("{target}: no reply within {REPLY:?}"),
    }
}
