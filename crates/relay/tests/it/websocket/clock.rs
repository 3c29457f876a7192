//! Timeouts of minutes: pings, silent and slow clients. The relay's own connection task over an in-memory pipe, on a
//! paused clock.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sdk_relay::relay::Relay;
use sdk_relay_config::{Loader, Overrides};
use sdk_relay_protocol::{CloseCode, Topic};
use sdk_relay_store::{EventKind, LogEntry};
use sdk_relay_telemetry::LogTap;
use sdk_relay_transport::{Admission, ClientAddress, FinalWrites};
use sdk_relay_ws::{self as ws, Arrival};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_websockets::{ClientBuilder, Message, WebSocketStream};

use crate::wire::handshake;
use testkit::close_code;

struct Fixture {
    relay: Relay,
    _data: TempDir,
    _ending: watch::Sender<Option<CloseCode>>,
    ends: watch::Receiver<Option<CloseCode>>,
}

struct Client {
    socket: WebSocketStream<DuplexStream>,
    actor: JoinHandle<()>,
    since: Instant,
}

impl Fixture {
    async fn open() -> Fixture {
        let data = TempDir::new().unwrap();
        let loader = settings(&data);
        let config = loader.load().unwrap();
        let relay = Relay::start(loader, config, LogTap::default()).await.unwrap();
        let (ending, ends) = watch::channel(None);
        Fixture {
            relay,
            _data: data,
            _ending: ending,
            ends,
        }
    }

    /// A client behind a pipe with a buffer of this many bytes in each direction.
    fn connect(&self, pipe: usize) -> Client {
        let (near, far) = tokio::io::duplex(pipe);
        let client = ClientAddress::direct(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        let permit = Admission::new(1, 1).admit(client.ip()).unwrap();
        let actor = ws::serve(
            Arc::clone(self.relay.websockets()),
            far,
            Arrival {
                client,
                permit: Some(permit),
                authorized: true,
                final_writes: FinalWrites::default(),
            },
            self.ends.clone(),
        );
        Client {
            socket: ClientBuilder::new().take_over(near),
            actor: tokio::spawn(actor),
            since: Instant::now(),
        }
    }

    /// Publishes this many events of the topic `tweaks`.
    fn publish(&self, events: u64) {
        let hub = &self.relay.websockets().hub;
        let newest = *hub.head().borrow();
        let entry = |id| LogEntry {
            id,
            topic: Topic::Tweaks,
            kind: EventKind::Tweaks,
            height: None,
            block_hash: None,
            payload: format!(r#"{{"type":"notification","event_id":{id}}}"#).into(),
        };
        hub.publish((newest + 1..=newest + events).map(entry).collect(), None);
    }

    fn cut(&self) -> u64 {
        self.relay.websockets().traffic.slow_clients_cut.get()
    }
}

impl Client {
    async fn greet(&mut self) {
        let text = handshake(&["tweaks"]).to_string();
        self.socket.send(Message::text(text)).await.unwrap();
        let answer = self.next().await;
        assert!(answer.as_text().unwrap().contains("accepted"), "{answer:?}");
    }

    async fn next(&mut self) -> Message {
        self.socket.next().await.expect("a frame").expect("a frame")
    }

    /// Whole seconds since the connection began.
    fn seconds(&self) -> u64 {
        (self.since.elapsed() + Duration::from_millis(5)).as_secs()
    }
}

/// A relay on the embedded chain, with free ports and without frequent reports.
fn settings(data: &TempDir) -> Loader {
    let file = data.path().join("sdk_relay.toml");
    let text = "ws_url = \"127.0.0.1:0\"\nhttp_url = \"127.0.0.1:0\"\n\
                [sync]\ninterval = 3600\nhealth_interval = 3600\nmetrics_interval = 3600\n";
    std::fs::write(&file, text).unwrap();
    Loader::new(
        Overrides::default()
            .with_config(file)
            .with_data_dir(data.path())
            .with_standalone(),
    )
}
#[tokio::test(start_paused = true)]
async fn pings_every_30_s_and_keeps_clients_that_answer() {
    let fixture = Fixture::open().await;
    let mut client = fixture.connect(4096);
    client.greet().await;
    for n in 1..=10 {
        // The library answers it as soon as it is read.
        let frame = client.next().await;
        assert!(frame.is_ping(), "{frame:?}");
        assert_eq!(client.seconds(), 30 * n);
    }
    assert!(!client.actor.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_client_silent_for_90_s_is_dropped() {
    let fixture = Fixture::open().await;
    let mut client = fixture.connect(4096);
    client.greet().await;
    // It reads nothing, so the pings are not answered.
    (&mut client.actor).await.unwrap();
    assert!((90..=92).contains(&client.seconds()), "{}", client.seconds());
    let mut sent = Vec::new();
    client.socket.get_mut().read_to_end(&mut sent).await.unwrap();
    // The frames before the close frame: two pings, of two bytes each.
    assert_eq!(close_code(&sent), Some(1001));
    assert!(
        sent.windows(5)
            .any(|frame| frame[..2] == [0x89, 0] && frame[2..] == [0x89, 0, 0x88]),
        "{sent:?}"
    );
    assert_eq!(fixture.cut(), 0, "silent is not slow");
}

#[tokio::test(start_paused = true)]
async fn without_a_handshake_it_ends_after_exactly_10_s() {
    let fixture = Fixture::open().await;
    let mut client = fixture.connect(4096);
    // Pings do not count as a handshake.
    client.socket.send(Message::ping("hello")).await.unwrap();
    assert!(client.next().await.is_pong());
    let frame = client.next().await;
    let (code, _) = frame.as_close().expect("a close");
    assert_eq!((u16::from(code), client.seconds()), (1002, 10));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_accepts_no_data_for_20_s_is_closed_and_others_continue() {
    let fixture = Fixture::open().await;
    let mut unread = fixture.connect(1024);
    let mut reader = fixture.connect(1024);
    unread.greet().await;
    reader.greet().await;
    let newest = *fixture.relay.websockets().hub.head().borrow();
    fixture.publish(1000);
    for id in newest + 1..=newest + 1000 {
        let frame = reader.next().await;
        let expected = format!("\"event_id\":{id}}}");
        assert!(
            frame.as_text().is_some_and(|text| text.ends_with(&expected)),
            "{id}: {frame:?}"
        );
    }
    assert_eq!(reader.seconds(), 0, "neither waited for the other");
    (&mut unread.actor).await.unwrap();
    // Twenty seconds for the write, two for a close frame that is not read, and two for the client to end the
    // connection.
    assert_eq!((unread.seconds(), fixture.cut()), (24, 1));
    fixture.publish(1);
    assert!(reader.next().await.is_text());
}

#[tokio::test(start_paused = true)]
async fn a_client_too_far_behind_is_closed_with_1013() {
    let fixture = Fixture::open().await;
    let mut client = fixture.connect(1024);
    client.greet().await;
    // Up to date once, so live; then more events than the relay holds for a client.
    fixture.publish(1);
    assert!(client.next().await.is_text());
    fixture.publish(10_000);
    loop {
        let frame = client.next().await;
        if let Some((code, reason)) = frame.as_close() {
            assert_eq!(u16::from(code), 1013);
            assert!(reason.contains("too slowly"), "{reason}");
            break;
        }
    }
    (&mut client.actor).await.unwrap();
    assert_eq!(fixture.cut(), 1);
}
