//! A client that records every notification.

use std::collections::VecDeque;
use std::fmt::Display;

use sdk_relay_client::protocol::{API_VERSION, ClientMessage, Handshake, HandshakeStatus, SecretHex, ServerMessage};
use sdk_relay_client::protocol::{Watch, WatchResponse};
use sdk_relay_client::{Event, Frame, HandshakeResponse, Notification, Payment, RawClient};
use testkit::{Payee, RelayProcess};
use tokio::time::timeout;

use super::DEADLINE;

/// Uses a raw connection, because the SDK's client drops an event that arrives twice.
#[derive(Debug)]
pub(crate) struct Recorder {
    raw: RawClient,
    /// Response to the handshake.
    pub(crate) relay: HandshakeResponse,
    /// Text of every notification so far.
    pub(crate) texts: Vec<String>,
    /// Every notification so far.
    pub(crate) notifications: Vec<Notification>,
    /// Notifications that arrived before a response.
    waiting: VecDeque<Notification>,
}

impl Recorder {
    /// Connects with these topics, and resumes from `resume_from` if it is given.
    pub(crate) async fn open(relay: &RelayProcess, topics: &[&str], resume_from: Option<u64>) -> Recorder {
        let handshake = Handshake {
            client_id: "recorder".to_owned(),
            version: API_VERSION.to_owned(),
            capabilities: topics.iter().map(|&topic| topic.to_owned()).collect(),
            resume_from,
            ..Handshake::default()
        };
        let mut raw = RawClient::connect(&relay.ws_url()).await.unwrap();
        raw.send(&ClientMessage::Handshake(handshake)).await.unwrap();
        let answer = timeout(DEADLINE, raw.next_message()).await;
        let ServerMessage::HandshakeResponse(relay) = answer.expect("an answer in time").unwrap() else {
            panic!("expected a handshake_response first");
        };
        assert_eq!(relay.status, HandshakeStatus::Accepted, "{relay:?}");
        Recorder {
            raw,
            relay,
            texts: Vec::new(),
            notifications: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Watches the wallet of the payee.
    pub(crate) async fn watch(&mut self, payee: &Payee) -> WatchResponse {
        let watch = ClientMessage::Watch(watch_of(payee));
        self.raw.send(&watch).await.unwrap();
        loop {
            match self.message().await {
                (ServerMessage::WatchResponse(response), _) => return response,
                (ServerMessage::Notification(notification), text) => {
                    self.record(&notification, text);
                    self.waiting.push_back(notification);
                }
                (other, _) => panic!("unexpected message: {other:?}"),
            }
        }
    }

    /// The next notification.
    pub(crate) async fn next(&mut self) -> Notification {
        if let Some(notification) = self.waiting.pop_front() {
            return notification;
        }
        match self.message().await {
            (ServerMessage::Notification(notification), text) => {
                self.record(&notification, text);
                notification
            }
            (other, _) => panic!("unexpected message: {other:?}"),
        }
    }

    /// Reads notifications up to the first that matches, which is included.
    pub(crate) async fn until(&mut self, what: impl Display, is: impl Fn(&Event) -> bool) -> Vec<Notification> {
        let mut received = Vec::new();
        let reading = async {
            loop {
                let notification = self.next().await;
                let found = is(&notification.event);
                received.push(notification);
                if found {
                    return;
                }
            }
        };
        if timeout(DEADLINE, reading).await.is_err() {
            panic!("not received within {DEADLINE:?}: {what}; received: {received:#?}");
        }
        received
    }

    /// Reads notifications up to the payment of this output, in this block or (`None`) in the mempool.
    pub(crate) async fn until_paid(&mut self, txid: &str, vout: u32, block: Option<&str>) -> Vec<Notification> {
        let what = format!("the payment {txid}:{vout} in {block:?}");
        self.until(what, |event| {
            let Event::PaymentDetected(payment) = event else {
                return false;
            };
            payment.txid == txid && payment.vout == vout && payment.block_hash.as_deref() == block
        })
        .await
    }

    /// Reads notifications up to the tweaks of a block, which are its last event. Requires the topic.
    pub(crate) async fn until_tweaks(&mut self, block: &str) -> Vec<Notification> {
        self.until(
            format!("the tweaks of {block}"),
            |event| matches!(event, Event::Tweaks(t) if t.block_hash == block && t.part == t.parts),
        )
        .await
    }

    /// Reads notifications up to the `block_disconnected` of a block.
    pub(crate) async fn until_disconnected(&mut self, block: &str) -> Vec<Notification> {
        self.until(
            format!("the end of {block}"),
            |event| matches!(event, Event::BlockDisconnected(b) if b.block_hash == block),
        )
        .await
    }

    async fn message(&mut self) -> (ServerMessage, String) {
        loop {
            let next = timeout(DEADLINE, self.raw.next()).await;
            match next.expect("a message in time").unwrap() {
                Frame::Text(text) => {
                    let message =
                        serde_json::from_str(&text).unwrap_or_else(|e| panic!("invalid message ({e}): {text}"));
                    return (message, text);
                }
                Frame::Ping(_) | Frame::Pong(_) => {}
                other => panic!("expected text, got {other:?}"),
            }
        }
    }

    fn record(&mut self, notification: &Notification, text: String) {
        self.texts.push(text);
        self.notifications.push(notification.clone());
    }
}

/// A watch with all labels of the payee.
pub(crate) fn watch_of(payee: &Payee) -> Watch {
    Watch {
        labels: Some(payee.labels.clone()),
        ..Watch::of_keys(SecretHex::new(payee.scan_hex()), payee.spend_public_key().to_string())
    }
}

/// The detected payments.
pub(crate) fn detected(received: &[Notification]) -> Vec<Payment> {
    let payments = received.iter().filter_map(|notification| match &notification.event {
        Event::PaymentDetected(payment) => Some(Payment::clone(payment)),
        _ => None,
    });
    payments.collect()
}

/// Splits notifications into those of a watch, and those of the log.
pub(crate) fn by_watch(received: Vec<Notification>) -> (Vec<Notification>, Vec<Notification>) {
    received
        .into_iter()
        .partition(|notification| notification.event_id.is_none())
}
