//! A client with one watch that records all of its messages.

use std::collections::BTreeMap;

use sdk_relay_client::protocol::{
    API_VERSION, ClientMessage, Handshake, ServerMessage, Unwatch, Watch, WatchProgress, WatchResponse,
};
use sdk_relay_client::{Event, Frame, Payment, RawClient};
use testkit::{Payee, RelayProcess};
use tokio::time::timeout;

use crate::support::DEADLINE;
use crate::support::recorder::watch_of;

/// A message about the watch.
#[derive(Clone, Debug)]
pub(crate) enum Received {
    Progress(WatchProgress),
    Detected(Payment),
    Reverted(Payment),
}

pub(crate) struct WatchClient {
    raw: RawClient,
    pub(crate) watch_id: String,
    /// Replaced watches, of which messages may still be in flight.
    ended: Vec<String>,
    /// The answer to the `watch`.
    pub(crate) response: WatchResponse,
    pub(crate) received: Vec<Received>,
}

impl WatchClient {
    /// Connects, and watches the keys of the payee from this height.
    pub(crate) async fn open(relay: &RelayProcess, payee: &Payee, from: u32, to: Option<u32>) -> Self {
        let handshake = Handshake {
            client_id: "client".to_owned(),
            version: API_VERSION.to_owned(),
            ..Handshake::default()
        };
        let mut raw = RawClient::connect(&relay.ws_url()).await.unwrap();
        raw.send(&ClientMessage::Handshake(handshake)).await.unwrap();
        let watch = Watch {
            from_height: Some(from),
            to_height: to,
            ..watch_of(payee)
        };
        raw.send(&ClientMessage::Watch(watch)).await.unwrap();
        let mut client = Self {
            raw,
            watch_id: String::new(),
            ended: Vec::new(),
            response: WatchResponse {
                status: String::new(),
                watch_id: String::new(),
                address: String::new(),
                history: None,
                from_height: None,
                start_height: None,
                missing: Vec::new(),
                watch_token: None,
                in_reply_to: None,
                timestamp: 0,
            },
            received: Vec::new(),
        };
        loop {
            match client.message().await {
                ServerMessage::HandshakeResponse(_) => {}
                ServerMessage::WatchResponse(response) => {
                    client.watch_id = response.watch_id.clone();
                    client.response = response;
                    return client;
                }
                other => panic!("unexpected first message: {other:?}"),
            }
        }
    }

    /// Ends the watch and registers it again without waiting; discards the messages of the old one.
    pub(crate) async fn renew(&mut self, payee: &Payee, from: u32) {
        let unwatch = Unwatch {
            watch_id: self.watch_id.clone(),
            message_id: None,
        };
        let watch = Watch {
            from_height: Some(from),
            ..watch_of(payee)
        };
        self.raw.send(&ClientMessage::Unwatch(unwatch)).await.unwrap();
        self.raw.send(&ClientMessage::Watch(watch)).await.unwrap();
        self.received.clear();
        self.ended.push(self.watch_id.clone());
        loop {
            if let ServerMessage::WatchResponse(response) = self.message().await {
                self.watch_id = response.watch_id.clone();
                self.response = response;
                return;
            }
        }
    }

    fn is_of_ended(&self, payment: &Payment) -> bool {
        payment.watch_id.as_ref().is_some_and(|id| self.ended.contains(id))
    }

    /// Ends the watch.
    pub(crate) async fn end(mut self) {
        let unwatch = Unwatch {
            watch_id: self.watch_id.clone(),
            message_id: None,
        };
        self.raw.send(&ClientMessage::Unwatch(unwatch)).await.unwrap();
        while !matches!(self.message().await, ServerMessage::UnwatchResponse(_)) {}
    }

    /// The progress messages so far.
    pub(crate) fn progress(&self) -> Vec<&WatchProgress> {
        let progress = self.received.iter().filter_map(|message| match message {
            Received::Progress(progress) => Some(progress),
            _ => None,
        });
        progress.collect()
    }

    /// Receives until `is` returns true for the last message.
    pub(crate) async fn until(&mut self, what: &str, is: impl Fn(&Received) -> bool) {
        let receiving = async {
            loop {
                let message = match self.message().await {
                    ServerMessage::WatchProgress(progress) if self.ended.contains(&progress.watch_id) => continue,
                    ServerMessage::UnwatchResponse(ended) if self.ended.contains(&ended.watch_id) => continue,
                    ServerMessage::WatchProgress(progress) => {
                        assert_eq!(progress.watch_id, self.watch_id);
                        Received::Progress(progress)
                    }
                    ServerMessage::Notification(notification) => match notification.event {
                        Event::PaymentDetected(payment) if self.is_of_ended(&payment) => continue,
                        Event::PaymentDetected(payment) => Received::Detected(*payment),
                        Event::PaymentReverted(payment) => Received::Reverted(*payment),
                        other => panic!("without a topic only payments are sent: {other:?}"),
                    },
                    other => panic!("unexpected message: {other:?}"),
                };
                self.received.push(message.clone());
                if is(&message) {
                    return;
                }
            }
        };
        if timeout(DEADLINE, receiving).await.is_err() {
            panic!("not received within {DEADLINE:?}: {what}; but {:#?}", self.received);
        }
    }

    /// Receives until the history is complete.
    pub(crate) async fn until_complete(&mut self) {
        self.until(
            "the end of the history",
            |message| matches!(message, Received::Progress(p) if p.progress >= 1.0),
        )
        .await;
    }

    /// Receives until this payment is reported, in a block or not.
    pub(crate) async fn until_paid(&mut self, txid: &str, block: Option<&str>) {
        let is = |message: &Received| matches!(message, Received::Detected(p) if p.txid == txid && p.block_hash.as_deref() == block);
        self.until(&format!("{txid} in {block:?}"), is).await;
    }

    pub(crate) fn detected(&self) -> Vec<Payment> {
        let payments = self.received.iter().filter_map(|message| match message {
            Received::Detected(payment) => Some(payment.clone()),
            _ => None,
        });
        payments.collect()
    }

    /// The resulting state: each confirmed output and its block. Panics if a payment was reported twice, or reverted
    /// without having been reported.
    pub(crate) fn holds(&self) -> BTreeMap<(String, u32), String> {
        let mut reported: BTreeMap<(String, u32), Option<String>> = BTreeMap::new();
        for message in &self.received {
            match message {
                Received::Detected(p) => {
                    let before = reported.insert((p.txid.clone(), p.vout), p.block_hash.clone());
                    let is_new = match before {
                        None => true,
                        Some(None) => p.block_hash.is_some(),
                        Some(Some(_)) => false,
                    };
                    assert!(is_new, "reported twice: {p:?} after {before:?} in {:#?}", self.received);
                }
                Received::Reverted(p) => {
                    let before = reported.remove(&(p.txid.clone(), p.vout));
                    assert_eq!(
                        before,
                        Some(p.block_hash.clone()),
                        "reverted without having been reported: {:#?}",
                        self.received
                    );
                }
                Received::Progress(_) => {}
            }
        }
        reported
            .into_iter()
            .filter_map(|(outpoint, block)| Some((outpoint, block?)))
            .collect()
    }

    async fn message(&mut self) -> ServerMessage {
        loop {
            match timeout(DEADLINE, self.raw.next())
                .await
                .expect("a message in time")
                .unwrap()
            {
                Frame::Text(text) => {
                    return serde_json::from_str(&text).unwrap_or_else(|e| panic!("no message ({e}): {text}"));
                }
                Frame::Ping(_) | Frame::Pong(_) => {}
                other => panic!("a text, not {other:?}"),
            }
        }
    }
}
