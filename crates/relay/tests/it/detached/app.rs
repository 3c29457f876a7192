//! An app with a detached watch.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use testkit::{HttpReply, Payee, RelayOptions, RelayProcess, eventually, http_post, http_send};

use super::connection;
use crate::wire::{DEADLINE, Wire, standalone};

/// A relay on its embedded chain, with blocks whose coinbases can be spent.
pub(super) async fn start(options: impl FnOnce(RelayOptions) -> RelayOptions) -> RelayProcess {
    let relay = RelayProcess::start(options(standalone()).set("DEV_MODE", "true")).await;
    crate::wire::mine(&relay, 101).await;
    relay
}

/// Pays the wallet; the transaction is in the mempool.
pub(super) async fn paid(relay: &RelayProcess, payee: &Payee) -> String {
    let body = json!({"address": payee.address().to_string(), "amount": "0.001"});
    let reply = http_post(&format!("{}/dev/pay", relay.http_url()), &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["txid"].as_str().expect("a txid").to_owned()
}

/// The message that watches this wallet, with further fields.
pub(super) fn watch(payee: &Payee, fields: Value) -> Value {
    let mut watch = json!({
        "type": "watch", "scan_private_key": payee.scan_hex(), "spend_public_key": payee.spend_public_key().to_string(),
    });
    let all = watch.as_object_mut().expect("an object");
    all.extend(fields.as_object().expect("fields").clone());
    watch
}

pub(super) struct App {
    pub(super) wire: Wire,
    pub(super) id: String,
    pub(super) token: String,
}

impl App {
    pub(super) async fn watch(relay: &RelayProcess, payee: &Payee, fields: Value) -> Self {
        let mut wire = connection(relay).await;
        let response = wire.request(watch(payee, fields)).await;
        assert_eq!(response["type"], "watch_response", "{response}");
        Self {
            wire,
            id: response["watch_id"].as_str().expect("an id").to_owned(),
            token: response["watch_token"].as_str().expect("a token").to_owned(),
        }
    }

    /// The same watch, on another connection that is not attached yet.
    pub(super) async fn elsewhere(&self, relay: &RelayProcess) -> Self {
        Self {
            wire: connection(relay).await,
            id: self.id.clone(),
            token: self.token.clone(),
        }
    }

    /// The connection ends without a close frame; there is another one, which is not attached.
    pub(super) async fn leave(&mut self, relay: &RelayProcess) {
        self.wire = connection(relay).await;
    }

    /// Connects again, and attaches.
    pub(super) async fn attach(&mut self, relay: &RelayProcess, after: u64) -> Value {
        self.wire = connection(relay).await;
        self.attach_here(after).await
    }

    pub(super) async fn attach_here(&mut self, after: u64) -> Value {
        let response = self.request_attach(after).await;
        assert_eq!(response["type"], "attach_response", "{response}");
        assert_eq!(
            (&response["status"], &response["watch_id"]),
            (&json!("attached"), &json!(self.id))
        );
        response
    }

    /// Releases matches on the connection that is attached.
    pub(super) async fn release(&mut self, after: u64) -> Value {
        self.attach_here(after).await
    }

    pub(super) async fn request_attach(&mut self, after: u64) -> Value {
        let attach = json!({"type": "attach", "watch_id": self.id, "watch_token": self.token, "after": after});
        self.wire.request(attach).await
    }

    /// The next match: its number, its transaction, and its confirmations.
    pub(super) async fn next(&mut self) -> (u64, String, u64) {
        let message = self.wire.receive().await;
        assert_eq!(message["notification_type"], "payment_detected", "{message}");
        assert_eq!(
            (&message["event_id"], &message["data"]["watch_id"]),
            (&Value::Null, &json!(self.id))
        );
        (
            message["watch_seq"].as_u64().expect("a number"),
            message["data"]["txid"].as_str().expect("a txid").to_owned(),
            message["data"]["confirmations"].as_u64().expect("a number"),
        )
    }

    /// Waits until the watch has found matches up to this one.
    pub(super) async fn until_found(&self, relay: &RelayProcess, seq: u64) {
        eventually(DEADLINE, format!("match {seq}"), async || {
            (self.state(relay).await["last_watch_seq"] == seq).then_some(())
        })
        .await;
    }

    /// Waits until the watch has no connection.
    pub(super) async fn until_detached(&self, relay: &RelayProcess) {
        eventually(DEADLINE, "the end of the connection", async || {
            (self.state(relay).await["attached"] == false).then_some(())
        })
        .await;
    }

    pub(super) async fn state(&self, relay: &RelayProcess) -> Value {
        let reply = self.http(relay, "GET").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    pub(super) async fn http(&self, relay: &RelayProcess, method: &str) -> HttpReply {
        request(relay, method, &self.id, Some(&self.token)).await
    }
}

/// `METHOD /watches/{id}` with this token.
pub(super) async fn request(relay: &RelayProcess, method: &str, id: &str, token: Option<&str>) -> HttpReply {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{}/watches/{id}", relay.http_url()));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    http_send(request.body(Full::<Bytes>::default()).unwrap()).await
}
