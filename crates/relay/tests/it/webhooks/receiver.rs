//! An endpoint on loopback that records what it gets, checks it, and answers as the test says.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected};
use hyper::StatusCode;
use hyper::header::HeaderMap;
use serde_json::Value;
use testkit::eventually;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::SECRET;
use crate::wire::DEADLINE;

/// The status of the answer to a message, and its headers.
type Answer = Box<dyn FnMut(&Message) -> (u16, Vec<(&'static str, String)>) + Send>;

/// A message that an endpoint got.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The answer to it.
    pub(crate) status: u16,
}

impl Message {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The event of the log.
    pub(crate) fn event_id(&self) -> Option<u64> {
        self.json()["event_id"].as_u64()
    }

    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().expect("a type").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// Panics unless the signature is the HMAC of this secret, by another library than the relay's.
    fn verify(&self) {
        let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
        let mut engine = HmacEngine::<sha256::Hash>::new(&key);
        engine.input(format!("{}.{}.", self.id, self.header("webhook-timestamp")).as_bytes());
        engine.input(&self.body);
        let expected = STANDARD.encode(Hmac::from_engine(engine).to_byte_array());
        let mut signatures = self.header("webhook-signature").split(' ');
        assert!(signatures.any(|signature| signature == format!("v1,{expected}")));
    }
}

/// A running endpoint, which ends when it is dropped.
pub(crate) struct Receiver {
    pub(crate) url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    received: Mutex<Vec<Message>>,
    answer: Mutex<Answer>,
}

impl Receiver {
    /// Answers each message with 204.
    pub(crate) async fn start() -> Receiver {
        let shared = Arc::new(Shared {
            received: Mutex::default(),
            answer: Mutex::new(Box::new(|_| (204, Vec::new()))),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook/path-s3cret", listener.local_addr().unwrap());
        let routes = Router::new().fallback(any(receive)).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Receiver { url, shared, server }
    }

    /// From now on answers with the status that this returns for a message.
    pub(crate) fn answers(&self, mut status: impl FnMut(&Message) -> u16 + Send + 'static) {
        self.answers_with(move |message| (status(message), Vec::new()));
    }

    /// The same with headers.
    pub(crate) fn answers_with(
        &self,
        answer: impl FnMut(&Message) -> (u16, Vec<(&'static str, String)>) + Send + 'static,
    ) {
        *self.shared.answer.lock().unwrap() = Box::new(answer);
    }

    /// All messages so far.
    pub(crate) fn received(&self) -> Vec<Message> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Those that were accepted.
    pub(crate) fn accepted(&self) -> Vec<Message> {
        let all = self.received().into_iter();
        all.filter(|message| (200..300).contains(&message.status)).collect()
    }

    /// Waits until a message is there that `is_it`.
    pub(crate) async fn until(&self, what: &str, is_it: impl Fn(&Message) -> bool) -> Message {
        eventually(DEADLINE, what, async || self.received().into_iter().find(&is_it)).await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(shared): State<Arc<Shared>>, request: Request) -> impl IntoResponse {
    let (head, body) = request.into_parts();
    // A kill of the relay may cut a message off, which is then no message.
    let Ok(body) = body.collect().await.map(Collected::to_bytes) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut message = Message {
        id: head.headers["webhook-id"].to_str().unwrap().to_owned(),
        headers: head.headers,
        body,
        status: 0,
    };
    message.verify();
    let (status, headers) = {
        let mut answer = shared.answer.lock().unwrap();
        (*answer)(&message)
    };
    message.status = status;
    shared.received.lock().unwrap().push(message);
    let mut response = StatusCode::from_u16(status).unwrap().into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
