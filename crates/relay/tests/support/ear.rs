//! A client that keeps every notification as it came.

use std::collections::VecDeque;
use std::fmt::Display;

use sdk_relay_client::protocol::{API_VERSION, ClientMessage, Handshake, HandshakeStatus, SecretHex, ServerMessage};
use sdk_relay_client::protocol::{Watch, WatchResponse};
use sdk_relay_client::{Event, Frame, HandshakeResponse, Notification, Payment, RawClient};
use testkit::{Payee, RelayProcess};
use tokio::time::timeout;

use super::DEADLINE;

/// A raw connection: the SDK's client would hide an event that comes twice.
#[derive(Debug)]
pub(crate) struct Ear {
    raw: RawClient,
    /// The relay's answer to the handshake.
    pub(crate) relay: HandshakeResponse,
    /// Every notification so far, as text.
    pub(crate) texts: Vec<String>,
    /// The same, read.
    pub(crate) told: Vec<Notification>,
    /// What came while an answer was awaited.
    waiting: VecDeque<Notification>,
}

impl Ear {
    /// Connected, with these topics, and with everything after `resume_from` where that is given.
    pub(crate) async fn open(relay: &RelayProcess, topics: &[&str], resume_from: Option<u64>) -> Ear {
        let handshake = Handshake {
            client_id: "ear".to_owned(),
            version: API_VERSION.to_owned(),
            capabilities: topics.iter().map(|&topic| topic.to_owned()).collect(),
            resume_from,
            ..Handshake::default()
        };
        let mut raw = RawClient::connect(&relay.ws_url()).await.unwrap();
        raw.send(&ClientMessage::Handshake(handshake)).await.unwrap();
        let answer = timeout(DEADLINE, raw.next_message()).await;
        let ServerMessage::HandshakeResponse(relay) = answer.expect("an answer in time").unwrap() else {
            panic!("the first answer is to the handshake");
        };
        assert_eq!(relay.status, HandshakeStatus::Accepted, "{relay:?}");
        Ear {
            raw,
            relay,
            texts: Vec::new(),
            told: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Has the relay watch for the payee.
    pub(crate) async fn watch(&mut self, payee: &Payee) -> WatchResponse {
        let watch = ClientMessage::Watch(watch_of(payee));
        self.raw.send(&watch).await.unwrap();
        loop {
            match self.message().await {
                (ServerMessage::WatchResponse(response), _) => return response,
                (ServerMessage::Notification(notification), text) => {
                    self.keep(&notification, text);
                    self.waiting.push_back(notification);
                }
                (other, _) => panic!("nothing else was asked for: {other:?}"),
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
                self.keep(&notification, text);
                notification
            }
            (other, _) => panic!("nothing else was asked for: {other:?}"),
        }
    }

    /// Every notification up to the first that is the one, which is the last of them.
    pub(crate) async fn until(&mut self, what: impl Display, is: impl Fn(&Event) -> bool) -> Vec<Notification> {
        let mut heard = Vec::new();
        let listening = async {
            loop {
                let notification = self.next().await;
                let found = is(&notification.event);
                heard.push(notification);
                if found {
                    return;
                }
            }
        };
        if timeout(DEADLINE, listening).await.is_err() {
            panic!("not heard within {DEADLINE:?}: {what}; but {heard:#?}");
        }
        heard
    }

    /// Every notification up to the payment of this output, in this block or (`None`) in the mempool.
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

    /// Every notification up to the tweaks of a block, which are the last that the log tells of it. Needs the topic.
    pub(crate) async fn until_tweaks(&mut self, block: &str) -> Vec<Notification> {
        self.until(
            format!("the tweaks of {block}"),
            |event| matches!(event, Event::Tweaks(t) if t.block_hash == block && t.part == t.parts),
        )
        .await
    }

    /// Every notification up to the end of a block in the best chain.
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
                    let message = serde_json::from_str(&text).unwrap_or_else(|e| panic!("no message ({e}): {text}"));
                    return (message, text);
                }
                Frame::Ping(_) | Frame::Pong(_) => {}
                other => panic!("a text, not {other:?}"),
            }
        }
    }

    fn keep(&mut self, notification: &Notification, text: String) {
        self.texts.push(text);
        self.told.push(notification.clone());
    }
}

/// A watch for all that the payee can be paid.
pub(crate) fn watch_of(payee: &Payee) -> Watch {
    Watch {
        scan_private_key: SecretHex::new(payee.scan_hex()),
        spend_public_key: payee.spend_public_key().to_string(),
        labels: Some(payee.labels.clone()),
        from_height: None,
        to_height: None,
        message_id: None,
    }
}

/// The payments among these that were detected.
pub(crate) fn detected(heard: &[Notification]) -> Vec<Payment> {
    let payments = heard.iter().filter_map(|notification| match &notification.event {
        Event::PaymentDetected(payment) => Some(Payment::clone(payment)),
        _ => None,
    });
    payments.collect()
}

/// Those of a watch, and those of the log.
pub(crate) fn by_watch(heard: Vec<Notification>) -> (Vec<Notification>, Vec<Notification>) {
    heard
        .into_iter()
        .partition(|notification| notification.event_id.is_none())
}
