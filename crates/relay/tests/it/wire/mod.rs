//! What the tests of both APIs share: a relay on its embedded chain, a WebSocket client that can send invalid messages,
//! JSON that keeps its order, and the samples of the API reference.

pub(crate) mod json;
pub(crate) mod reference;

use std::time::Duration;

use sdk_relay_client::{Frame, RawClient};
use serde_json::{Value, json};
use testkit::{RelayOptions, RelayProcess, eventually, http_get, http_post};
use tokio::time::timeout;

/// Time limit of every awaited step, longer than any takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A relay on its embedded chain.
pub(crate) fn standalone() -> RelayOptions {
    RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).arg("--standalone")
}

/// Starts one with the default configuration.
pub(crate) async fn start() -> RelayProcess {
    RelayProcess::start(standalone()).await
}

/// Mines blocks, and returns their hashes.
pub(crate) async fn mine(relay: &RelayProcess, blocks: u32) -> Vec<String> {
    let url = format!("{}/dev/mine", relay.http_url());
    let reply = http_post(&url, &json!({ "blocks": blocks })).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let hashes = reply.json()["blocks"].as_array().expect("hashes").clone();
    hashes.iter().map(|h| h.as_str().expect("a hash").to_owned()).collect()
}

/// Mines thousands of blocks, waits until the index has them, and returns the height of the tip.
pub(crate) async fn mine_history(relay: &RelayProcess, thousands: u32) -> u64 {
    for _ in 0..thousands {
        mine(relay, 1000).await;
    }
    eventually(DEADLINE, "the index of all blocks", async || {
        let info = get(relay, "/bitcoin/info").await;
        let tip = info["blockchain_info"]["blocks"].as_u64()?;
        (get(relay, "/health").await["index"]["height"] == tip).then_some(tip)
    })
    .await
}

/// `GET path` as JSON.
pub(crate) async fn get(relay: &RelayProcess, path: &str) -> Value {
    http_get(&format!("{}{path}", relay.http_url())).await.json()
}

/// A handshake with these capabilities.
pub(crate) fn handshake(capabilities: &[&str]) -> Value {
    json!({"type": "handshake", "client_id": "test", "version": "1.0.0", "capabilities": capabilities})
}

/// A WebSocket client.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) raw: RawClient,
}

impl Wire {
    /// Connects without a handshake.
    pub(crate) async fn open(url: &str) -> Wire {
        let raw = RawClient::connect(url).await;
        Wire {
            raw: raw.unwrap_or_else(|e| panic!("{url}: {e}")),
        }
    }

    /// Connects, and completes the handshake with these capabilities. First reports, if there are any, are not read
    /// yet.
    pub(crate) async fn connect(url: &str, capabilities: &[&str]) -> Wire {
        let (wire, response) = Wire::connect_with(url, handshake(capabilities)).await;
        assert_eq!(response["status"], "accepted", "{response}");
        wire
    }

    /// Connects, sends this handshake, and returns the answer.
    pub(crate) async fn connect_with(url: &str, handshake: Value) -> (Wire, Value) {
        let mut wire = Wire::open(url).await;
        wire.send(handshake).await;
        let response = wire.receive().await;
        assert_eq!(response["type"], "handshake_response", "{response}");
        (wire, response)
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.send_text(message.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: impl Into<String>) {
        let text = text.into();
        let sent = timeout(DEADLINE, self.raw.send_text(text)).await;
        sent.expect("the relay reads").expect("the relay is there");
    }

    /// The next frame except pings and pongs.
    pub(crate) async fn frame(&mut self) -> Frame {
        loop {
            let next = timeout(DEADLINE, self.raw.next()).await;
            match next.expect("a frame in time").expect("a frame") {
                Frame::Ping(_) | Frame::Pong(_) => {}
                frame => return frame,
            }
        }
    }

    /// The next message as text.
    pub(crate) async fn receive_text(&mut self) -> String {
        match self.frame().await {
            Frame::Text(text) => text,
            other => panic!("no text: {other:?}"),
        }
    }

    /// The next message.
    pub(crate) async fn receive(&mut self) -> Value {
        let text = self.receive_text().await;
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("no JSON ({e}): {text}"))
    }

    /// The next answer. Reports and notifications are skipped.
    pub(crate) async fn answer_text(&mut self) -> String {
        self.first(|frame| match frame {
            Frame::Text(text) if is_unsolicited(&text) => None,
            Frame::Text(text) => Some(text),
            other => panic!("no text: {other:?}"),
        })
        .await
    }

    /// Sends a message, and returns the answer.
    pub(crate) async fn request(&mut self, message: Value) -> Value {
        self.send(message).await;
        let text = self.answer_text().await;
        serde_json::from_str(&text).expect("JSON")
    }

    /// The next notification.
    pub(crate) async fn notification(&mut self) -> Value {
        self.first(|frame| match frame {
            Frame::Text(text) => {
                let message: Value = serde_json::from_str(&text).expect("JSON");
                (message["type"] == "notification").then_some(message)
            }
            other => panic!("no text: {other:?}"),
        })
        .await
    }

    /// The code and the reason of the close frame. Messages before it are skipped.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        self.first(|frame| match frame {
            Frame::Close(code, reason) => Some((code, reason)),
            _ => None,
        })
        .await
    }

    /// Asserts that the connection is open: a ping is answered.
    pub(crate) async fn assert_open(&mut self) {
        let pong = self.request(json!({"type": "ping"})).await;
        assert_eq!(pong["type"], "pong", "{pong}");
    }

    /// The first result of `wanted` for the received frames. Other frames do not extend the deadline.
    async fn first<T>(&mut self, wanted: impl Fn(Frame) -> Option<T>) -> T {
        let looking = async {
            loop {
                if let Some(found) = wanted(self.frame().await) {
                    return found;
                }
            }
        };
        timeout(DEADLINE, looking).await.expect("received in time")
    }
}

/// Whether a message is unsolicited, and not an answer.
fn is_unsolicited(text: &str) -> bool {
    text.starts_with(r#"{"type":"sync","#) || text.starts_with(r#"{"type":"notification","#)
}
