//! A thousand clients that send a byte a second to each port, and a thousand that never read: others are not delayed,
//! memory stays bounded, and the slow clients are disconnected.

use std::time::{Duration, Instant};

use sdk_relay_client::{Client, ClientEvent, Disconnect, Event, RawClient, Resume, Topic};
use sdk_relay_transport::open_files;
use serde_json::json;
use testkit::{RelayProcess, eventually, http_get, http_post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::impatient;

/// Clients of each kind.
const CLIENTS: usize = 1000;
/// Streams of `GET /events` that are never read.
const STREAMS: usize = 100;
/// Memory limit of the relay. Without bounds, the output for clients that never read would be a thousand times the
/// events: gigabytes.
const MEMORY: u64 = 256_000_000;
/// By then they are cut off, on a busy machine too: headers have 3 s, a WebSocket that takes nothing 5 s, an HTTP
/// client 8 s.
const CUT_BY: Duration = Duration::from_secs(50);
/// About 850 KB: enough to fill the socket buffers of both ends, [`RECEIVED`] included.
const EVENTS: usize = 2000;
/// Receive buffer of a stream that is not read; by default it would grow to megabytes.
const RECEIVED: u32 = 16 << 10;
/// Blocks for each payment: two events each, one of them on the topic `tweaks`.
const BLOCKS: u32 = 50;

fn address(url: &str) -> String {
    url.split_once("://").unwrap().1.to_owned()
}

/// Sends a request's headers, a byte a second, until it is disconnected, and returns the time.
async fn dribble(address: String) -> Duration {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let began = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let mut tick = interval(Duration::from_secs(1));
    let mut end = [0; 1];
    loop {
        tokio::select! {
            read = reading.read(&mut end) => match read {
                Ok(0) | Err(_) => return began.elapsed(),
                Ok(_) => {}
            },
            _ = tick.tick() => if writing.write_all(b"a").await.is_err() {
                return began.elapsed();
            },
        }
    }
}

/// A client that has subscribed to everything and stops reading.
async fn unread(url: String) -> RawClient {
    let mut client = RawClient::connect(&url).await.unwrap();
    let handshake = json!({"type": "handshake", "client_id": "unread", "version": "1.0.0", "capabilities": ["notifications", "tweaks"]});
    client.send_text(handshake.to_string()).await.unwrap();
    client.next_message().await.unwrap();
    client
}

/// A stream of events of which only the first line is read.
async fn unread_stream(address: String) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(RECEIVED).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    stream
        .write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_delay_no_others_and_are_disconnected() {
    open_files::to_the_most();
    let relay = RelayProcess::start(impatient::standalone()).await;
    let (ws, http) = (relay.ws_url(), relay.http_url());
    let wallet = http_get(&format!("{http}/config")).await.json()["silent_payment_address"].clone();
    let at_rest = relay.resident_bytes();

    let mut clients = JoinSet::new();
    let mut streams = JoinSet::new();
    for n in 0..CLIENTS {
        clients.spawn(unread(ws.clone()));
        if n < STREAMS {
            streams.spawn(unread_stream(address(&http)));
        }
    }
    let (mut clients, streams) = (clients.join_all().await, streams.join_all().await);
    let mut dribblers = JoinSet::new();
    for url in [&ws, &http] {
        for _ in 0..CLIENTS {
            dribblers.spawn(dribble(address(url)));
        }
    }

    // A client that reads receives everything meanwhile.
    let (reader, mut events) = Client::builder(&ws)
        .topics([Topic::Notifications])
        .connect()
        .await
        .unwrap();
    let (mut most, mut took) = (0, Vec::new());
    let cut = async || {
        let metrics = http_get(&format!("{http}/metrics")).await.json();
        metrics["relay_metrics"]["slow_clients_cut"].as_u64().unwrap() as usize
    };
    let mut received = 0;
    let all_cut = async {
        while cut().await < CLIENTS || received < EVENTS {
            let paid = http_post(
                &format!("{http}/dev/pay"),
                &json!({"address": wallet, "amount": "0.001"}),
            )
            .await;
            assert_eq!(paid.status, 200, "{}", paid.text());
            let mined = http_post(&format!("{http}/dev/mine"), &json!({"blocks": BLOCKS})).await;
            assert_eq!(mined.status, 200, "{}", mined.text());
            let asked = Instant::now();
            assert_eq!(http_get(&format!("{http}/health")).await.status, 200);
            took.push(asked.elapsed());
            most = most.max(relay.resident_bytes());
            let mut blocks = 0;
            while blocks < BLOCKS {
                if let Some(ClientEvent::Notification(reported)) = events.recv().await {
                    blocks += u32::from(matches!(reported.event, Event::BlockMined(_)));
                    received += 1;
                }
            }
        }
    };
    timeout(CUT_BY, all_cut)
        .await
        .expect("the slow clients are disconnected in time");
    assert!(most < MEMORY, "{most} bytes");

    // Each of them reads the close code at last, after all messages that were sent before.
    for client in clients.iter_mut().step_by(50) {
        let end = timeout(CUT_BY, async {
            loop {
                if let Err(end) = client.next_message().await {
                    return end;
                }
            }
        });
        let end = end.await.expect("an end");
        assert!(matches!(end, Disconnect::Closed { code: 1013, .. }), "{end}");
    }
    let dribbled = timeout(CUT_BY, dribblers.join_all())
        .await
        .expect("the slow senders are disconnected");
    // On the HTTP port some are evicted earlier for others.
    assert!(dribbled.iter().filter(|time| time.as_secs() >= 2).count() >= CLIENTS);
    let longest = dribbled.iter().max().unwrap();
    assert!(longest.as_secs() < 30, "{longest:?}");
    let ended = timeout(CUT_BY, async {
        for mut stream in streams {
            // A reset also ends the stream.
            drop(stream.read_to_end(&mut Vec::new()).await);
        }
    });
    drop(clients);
    ended.await.expect("the streams are disconnected");

    // All permits are free again, except that of the client that reads; and a disconnected client can resume.
    let connections =
        async || http_get(&format!("{http}/metrics")).await.json()["system_metrics"]["active_connections"].as_u64();
    eventually(CUT_BY, "one connection", async || {
        (connections().await == Some(1)).then_some(())
    })
    .await;
    reader.ping().await.unwrap();
    let (again, _events) = Client::builder(&ws).resume_from(Some(0)).connect().await.unwrap();
    assert_eq!(again.relay().resume, Some(Resume::Complete));

    took.sort();
    println!(
        "health during the slow clients: p50 {:?}, p99 {:?}, of {}; memory {} MB at rest, {} MB at most; {received} events",
        took[took.len() / 2],
        took[took.len() * 99 / 100],
        took.len(),
        at_rest / 1_000_000,
        most / 1_000_000
    );
}
