//! A client with one watch that keeps everything that it hears of it.

use std::collections::BTreeMap;

use sdk_relay_client::protocol::{
    API_VERSION, ClientMessage, Handshake, ServerMessage, Unwatch, Watch, WatchProgress, WatchResponse,
};
use sdk_relay_client::{Event, Frame, Payment, RawClient};
use testkit::{Payee, RelayProcess};
use tokio::time::timeout;

use crate::support::DEADLINE;
use crate::support::recorder::watch_of;

/// What a watch hears.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    Progress(WatchProgress),
    Detected(Payment),
    Reverted(Payment),
}

pub(crate) struct Hearer {
    raw: RawClient,
    pub(crate) watch_id: String,
    /// Watches that were renewed: what was on its way to the client by then still comes.
    ended: Vec<String>,
    /// The answer to the `watch`.
    pub(crate) response: WatchResponse,
    pub(crate) heard: Vec<Heard>,
}

impl Hearer {
    /// Connects, and watches for the payee from this height on.
    pub(crate) async fn open(relay: &RelayProcess, payee: &Payee, from: u32, to: Option<u32>) -> Self {
        let handshake = Handshake {
            client_id: "hearer".to_owned(),
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
        let mut hearer = Self {
            raw,
            watch_id: String::new(),
            ended: Vec::new(),
            response: WatchResponse {
                status: String::new(),
                watch_id: String::new(),
                address: String::new(),
                history: None,
                start_height: None,
                missing: Vec::new(),
                in_reply_to: None,
                timestamp: 0,
            },
            heard: Vec::new(),
        };
        loop {
            match hearer.message().await {
                ServerMessage::HandshakeResponse(_) => {}
                ServerMessage::WatchResponse(response) => {
                    hearer.watch_id = response.watch_id.clone();
                    hearer.response = response;
                    return hearer;
                }
                other => panic!("nothing else comes first: {other:?}"),
            }
        }
    }

    /// Ends the watch and asks for the same again, in one go; what was heard of the old one is forgotten.
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
        self.heard.clear();
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
        let progress = self.heard.iter().filter_map(|heard| match heard {
            Heard::Progress(progress) => Some(progress),
            _ => None,
        });
        progress.collect()
    }

    /// Hears on until this holds for the last that was heard.
    pub(crate) async fn until(&mut self, what: &str, is: impl Fn(&Heard) -> bool) {
        let listening = async {
            loop {
                let heard = match self.message().await {
                    ServerMessage::WatchProgress(progress) if self.ended.contains(&progress.watch_id) => continue,
                    ServerMessage::UnwatchResponse(ended) if self.ended.contains(&ended.watch_id) => continue,
                    ServerMessage::WatchProgress(progress) => {
                        assert_eq!(progress.watch_id, self.watch_id);
                        Heard::Progress(progress)
                    }
                    ServerMessage::Notification(notification) => match notification.event {
                        Event::PaymentDetected(payment) if self.is_of_ended(&payment) => continue,
                        Event::PaymentDetected(payment) => Heard::Detected(*payment),
                        Event::PaymentReverted(payment) => Heard::Reverted(*payment),
                        other => panic!("without a topic only payments come: {other:?}"),
                    },
                    other => panic!("nothing else was asked for: {other:?}"),
                };
                self.heard.push(heard.clone());
                if is(&heard) {
                    return;
                }
            }
        };
        if timeout(DEADLINE, listening).await.is_err() {
            panic!("not heard within {DEADLINE:?}: {what}; but {:#?}", self.heard);
        }
    }

    /// Hears on until the history is told.
    pub(crate) async fn until_told(&mut self) {
        self.until(
            "the end of the history",
            |heard| matches!(heard, Heard::Progress(p) if p.progress >= 1.0),
        )
        .await;
    }

    /// Hears on until this payment is told, in a block or not.
    pub(crate) async fn until_paid(&mut self, txid: &str, block: Option<&str>) {
        let is =
            |heard: &Heard| matches!(heard, Heard::Detected(p) if p.txid == txid && p.block_hash.as_deref() == block);
        self.until(&format!("{txid} in {block:?}"), is).await;
    }

    pub(crate) fn detected(&self) -> Vec<Payment> {
        let payments = self.heard.iter().filter_map(|heard| match heard {
            Heard::Detected(payment) => Some(payment.clone()),
            _ => None,
        });
        payments.collect()
    }

    /// What holds after all that was heard: each confirmed output and its block. Panics where something was told twice,
    /// or taken back untold.
    pub(crate) fn holds(&self) -> BTreeMap<(String, u32), String> {
        let mut told: BTreeMap<(String, u32), Option<String>> = BTreeMap::new();
        for heard in &self.heard {
            match heard {
                Heard::Detected(p) => {
                    let before = told.insert((p.txid.clone(), p.vout), p.block_hash.clone());
                    let is_news = match before {
                        None => true,
                        Some(None) => p.block_hash.is_some(),
                        Some(Some(_)) => false,
                    };
                    assert!(is_news, "told twice: {p:?} after {before:?} in {:#?}", self.heard);
                }
                Heard::Reverted(p) => {
                    let before = told.remove(&(p.txid.clone(), p.vout));
                    assert_eq!(
                        before,
                        Some(p.block_hash.clone()),
                        "taken back untold: {:#?}",
                        self.heard
                    );
                }
                Heard::Progress(_) => {}
            }
        }
        told.into_iter()
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
