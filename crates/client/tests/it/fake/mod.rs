//! A relay that sends what the test tells it to, in any order and with any loss.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sdk_relay_client::protocol::*;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_websockets::{CloseCode, Message, ServerBuilder, WebSocketStream};

/// For everything that must happen in a test.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct FakeRelay {
    listener: TcpListener,
}

pub(crate) struct Link {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

/// Fails the test when it takes too long.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("it takes too long")
}

impl FakeRelay {
    pub(crate) async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.listener.local_addr().unwrap())
    }

    /// Whether somebody has connected and was not taken.
    pub(crate) async fn has_visitor(&self) -> bool {
        timeout(Duration::ZERO, self.listener.accept()).await.is_ok()
    }

    /// The next client, upgraded.
    pub(crate) async fn accept(&self) -> Link {
        soon(async {
            let (stream, _) = self.listener.accept().await.unwrap();
            let (_, socket) = ServerBuilder::new().accept(stream).await.unwrap();
            Link { socket }
        })
        .await
    }

    /// The next client, welcomed by a relay whose log ends at `last_event_id`.
    pub(crate) async fn welcome(&self, last_event_id: u64, resume: Option<Resume>) -> (Link, Handshake) {
        let mut link = self.accept().await;
        let ClientMessage::Handshake(handshake) = link.next().await else {
            panic!("not a handshake")
        };
        link.say(response(HandshakeStatus::Accepted, last_event_id, resume))
            .await;
        (link, handshake)
    }
}

impl Link {
    pub(crate) async fn next(&mut self) -> ClientMessage {
        soon(async {
            loop {
                let message = self.socket.next().await.expect("the client is gone").unwrap();
                if let Some(text) = message.as_text() {
                    return parse_client_message(text).unwrap();
                }
            }
        })
        .await
    }

    pub(crate) async fn say(&mut self, message: ServerMessage) {
        let text = encode_text(&message).unwrap();
        soon(self.socket.send(Message::text(text))).await.unwrap();
    }

    pub(crate) async fn close(&mut self, code: u16) {
        let message = Message::close(Some(CloseCode::try_from(code).unwrap()), "because");
        soon(self.socket.send(message)).await.unwrap();
    }

    /// The code with which the client closes.
    pub(crate) async fn closed(&mut self) -> u16 {
        soon(async {
            loop {
                let message = self.socket.next().await.expect("no close").unwrap();
                if let Some((code, _)) = message.as_close() {
                    return code.into();
                }
            }
        })
        .await
    }
}

pub(crate) fn response(status: HandshakeStatus, last_event_id: u64, resume: Option<Resume>) -> ServerMessage {
    ServerMessage::HandshakeResponse(HandshakeResponse {
        status,
        relay_id: "fake".into(),
        version: API_VERSION.into(),
        capabilities: vec![],
        timestamp: 1,
        reason: (status == HandshakeStatus::Rejected).then(|| "not today".into()),
        connection_id: Some("c1".into()),
        network: "regtest".into(),
        last_event_id,
        silent_payment_address: Some("sprt1q".into()),
        software_version: "0".into(),
        resume,
        resumed_after: None,
        mac: None,
        relays: Vec::new(),
        unknown_capabilities: Vec::new(),
    })
}

pub(crate) fn block(event_id: u64) -> ServerMessage {
    let event = Event::BlockDisconnected(BlockDisconnected {
        block_height: 1,
        block_hash: "00".into(),
        previous_block_hash: "00".into(),
        timestamp: 1,
    });
    ServerMessage::Notification(Notification {
        event,
        timestamp: 1,
        event_id: Some(event_id),
        watch_seq: None,
    })
}

pub(crate) fn payment(watch_id: &str) -> ServerMessage {
    let payment = Payment {
        txid: "aa".into(),
        block_height: None,
        block_hash: None,
        amount: "1".into(),
        address: "sprt1q".into(),
        confirmations: 0,
        timestamp: 1,
        fee: None,
        size: 1,
        vout: 0,
        tweak: None,
        label: None,
        watch_id: Some(watch_id.into()),
        amount_sats: 100_000_000,
        fee_sats: None,
        public_key: None,
        spent_by: None,
        spent_height: None,
        replaced_by: None,
        historical: false,
    };
    ServerMessage::Notification(Notification {
        event: Event::PaymentDetected(Box::new(payment)),
        timestamp: 1,
        event_id: None,
        watch_seq: None,
    })
}

pub(crate) fn watching(request: &ClientMessage, watch_id: &str) -> ServerMessage {
    let ClientMessage::Watch(watch) = request else {
        panic!("not a watch: {request:?}")
    };
    ServerMessage::WatchResponse(WatchResponse {
        status: "watching".into(),
        watch_id: watch_id.into(),
        address: "sprt1q".into(),
        history: None,
        from_height: watch.from_height,
        start_height: None,
        missing: Vec::new(),
        watch_token: None,
        in_reply_to: watch.message_id.clone(),
        timestamp: 1,
    })
}

pub(crate) fn error(code: ErrorCode, in_reply_to: Option<String>) -> ServerMessage {
    ServerMessage::Error(ErrorMessage {
        code,
        message: "no".into(),
        in_reply_to,
        timestamp: 1,
    })
}

pub(crate) fn keys() -> Watch {
    Watch::of_keys(SecretHex::new("11".repeat(32)), "02".repeat(33))
}
