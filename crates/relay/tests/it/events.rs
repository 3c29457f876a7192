//! `GET /events`, `GET /ws`, `POST /tx`, and the tokens, from outside the process.

use std::time::Duration;

use sdk_relay_client::{Client, ClientEvent, Topic};
use serde_json::{Value, json};
use testkit::{InputKind, Payee, Payer, RelayOptions, RelayProcess, http_get, http_post};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(30);

fn standalone() -> RelayOptions {
    RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).arg("--standalone")
}

async fn pay_and_mine(relay: &RelayProcess) {
    let config = http_get(&format!("{}/config", relay.http_url())).await.json();
    let (_client, mut received) = Client::builder(&relay.ws_url())
        .topics([Topic::Notifications])
        .connect()
        .await
        .unwrap();
    let pay = json!({"address": config["silent_payment_address"], "amount": "0.01"});
    for (path, body) in [("/dev/pay", pay), ("/dev/mine", json!({}))] {
        let done = http_post(&format!("{}{path}", relay.http_url()), &body).await;
        assert_eq!(done.status, 200, "{}", done.text());
        // Wait: otherwise the payment could be reported first with its block.
        timeout(DEADLINE, received.recv()).await.unwrap().unwrap();
    }
}

/// A stream of `GET /events`, read like a browser.
pub(crate) struct EventSource {
    lines: Lines<BufReader<TcpStream>>,
}

#[derive(Debug)]
pub(crate) struct SentEvent {
    name: String,
    id: Option<u64>,
    pub(crate) data: Value,
}

impl EventSource {
    pub(crate) async fn open(relay: &RelayProcess, last_event_id: Option<&str>) -> Self {
        let address = relay.http_url().trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let resume = last_event_id
            .map(|id| format!("Last-Event-ID: {id}\r\n"))
            .unwrap_or_default();
        let request = format!("GET /events HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n{resume}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut source = Self {
            lines: BufReader::new(stream).lines(),
        };
        assert!(source.line().await.contains("200 OK"));
        let mut headers = Vec::new();
        loop {
            let line = source.line().await;
            if line.is_empty() {
                break;
            }
            headers.push(line.to_lowercase());
        }
        assert!(
            headers.iter().any(|h| h == "content-type: text/event-stream"),
            "{headers:?}"
        );
        source
    }

    async fn line(&mut self) -> String {
        timeout(DEADLINE, self.lines.next_line())
            .await
            .expect("a line in time")
            .unwrap()
            .expect("the stream goes on")
    }

    pub(crate) async fn next(&mut self) -> SentEvent {
        let mut event = SentEvent {
            name: "message".to_owned(),
            id: None,
            data: Value::Null,
        };
        loop {
            let line = self.line().await;
            if let Some(name) = line.strip_prefix("event: ") {
                event.name = name.to_owned();
            } else if let Some(id) = line.strip_prefix("id: ") {
                event.id = Some(id.parse().unwrap());
            } else if let Some(data) = line.strip_prefix("data: ") {
                event.data = serde_json::from_str(data).unwrap();
            } else if line.is_empty() && event.data != Value::Null {
                return event;
            }
            // The rest are comments, and the sizes of HTTP chunks.
        }
    }
}

#[tokio::test]
async fn events_stream_and_resume() {
    let relay = RelayProcess::start(standalone()).await;
    let mut live = EventSource::open(&relay, None).await;
    pay_and_mine(&relay).await;
    let mut seen = Vec::new();
    for kind in ["payment_detected", "block_mined", "payment_detected"] {
        let event = live.next().await;
        assert_eq!(event.data["notification_type"], kind);
        assert_eq!(event.data["event_id"].as_u64(), event.id);
        seen.push((event.id.unwrap(), event.data));
    }
    let mut resumed = EventSource::open(&relay, Some(&seen[0].0.to_string())).await;
    for (id, data) in &seen[1..] {
        let event = resumed.next().await;
        assert_eq!((event.id, &event.data), (Some(*id), data), "the same again");
    }
    let mut of_another_log = EventSource::open(&relay, Some("1000000")).await;
    assert_eq!(of_another_log.next().await.name, "gap");
}

#[tokio::test]
async fn a_program_that_polls_misses_and_repeats_nothing() {
    let relay = RelayProcess::start(standalone()).await;
    let mut streamed = EventSource::open(&relay, None).await;
    let poll = async |query: &str| http_get(&format!("{}/events/poll{query}", relay.http_url())).await;
    let begin = poll("").await.json();
    assert_eq!(
        (&begin["events"], &begin["gap"]),
        (&json!([]), &json!(false)),
        "{begin}"
    );
    let first = begin["last_event_id"].as_u64().unwrap();
    let nothing = poll(&format!("?after={first}&wait=0")).await.json();
    assert_eq!(
        (&nothing["events"], &nothing["last_event_id"]),
        (&json!([]), &json!(first)),
        "{nothing}"
    );

    // Waits for the payment.
    let query = format!("?after={first}&wait=50");
    let (waited, ()) = tokio::join!(poll(&query), pay_and_mine(&relay));
    assert_eq!(waited.json()["events"][0]["notification_type"], "payment_detected");

    let mut expected = Vec::new();
    for _ in 0..3 {
        expected.push(streamed.next().await.data);
    }
    let all = poll(&format!("?after={first}&wait=0")).await.json();
    assert_eq!(all["events"], json!(expected));
    // One after the other.
    let mut after = first;
    for event in &expected {
        let one = poll(&format!("?after={after}&limit=1&wait=50")).await.json();
        assert_eq!(one["events"], json!([event]));
        after = one["last_event_id"].as_u64().unwrap();
    }
    assert!(after <= all["last_event_id"].as_u64().unwrap());
    let up_to_date = poll(&format!("?after={after}&wait=0")).await.json();
    assert_eq!(up_to_date["events"], json!([]));

    let other_log = poll("?after=1000000&wait=50").await.json();
    assert_eq!(
        (&other_log["events"], &other_log["gap"], &other_log["last_event_id"]),
        (&json!([]), &json!(true), &all["last_event_id"]),
        "{other_log}"
    );
    for (wrong, status) in [
        ("?wait=51", 422),
        ("?limit=0", 422),
        ("?limit=1001", 422),
        ("?after=x", 400),
    ] {
        assert_eq!(poll(wrong).await.status, status, "{wrong}");
    }
}

#[tokio::test]
async fn the_websocket_api_is_on_the_http_port_too() {
    let relay = RelayProcess::start(standalone()).await;
    let url = format!("{}/ws", relay.http_url().replace("http://", "ws://"));
    let (client, mut events) = Client::builder(&url)
        .topics([Topic::Notifications])
        .connect()
        .await
        .unwrap();
    client.ping().await.unwrap();
    pay_and_mine(&relay).await;
    let first = timeout(DEADLINE, events.recv()).await.unwrap().unwrap();
    assert!(matches!(first, ClientEvent::Notification(_)), "{first:?}");
    let plain = http_get(&format!("{}/ws", relay.http_url())).await;
    assert_eq!(plain.status, 426);
}

#[tokio::test]
async fn a_transaction_is_broadcast_or_refused_with_the_reason_of_the_node() {
    let node = testkit::PooledNode::take(testkit::Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    let relay = RelayProcess::start(RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node)).await;
    let url = format!("{}/tx", relay.http_url());
    let to = Payee::new(&[]).address();
    let tx = payer.pay(&[InputKind::P2wpkh], &[(to, bitcoin::Amount::from_sat(50_000))]);
    let hex = bitcoin::consensus::encode::serialize_hex(&tx);
    let sent = http_post(&url, &json!({"hex": hex})).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    assert_eq!(sent.json()["txid"], json!(tx.compute_txid().to_string()));
    assert!(node.mempool().await.contains(&tx.compute_txid()));

    let mut changed = tx.clone();
    changed.output[0].value = bitcoin::Amount::from_sat(49_000);
    let refused = http_post(
        &url,
        &json!({"hex": bitcoin::consensus::encode::serialize_hex(&changed)}),
    )
    .await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.json()["detail"]
            .as_str()
            .unwrap()
            .contains("the node rejects the transaction"),
        "{}",
        refused.text()
    );
    for bad in [
        json!({"hex": "00"}),
        json!({"hex": 1}),
        json!({}),
        json!({"hex": hex, "fast": true}),
    ] {
        let refused = http_post(&url, &bad).await;
        assert_eq!(refused.status, 422, "{bad}: {}", refused.text());
    }
}

#[tokio::test]
async fn tokens_protect_reading_and_administration() {
    let options = standalone()
        .set("AUTH__READ_TOKEN", "read-0123456789abcdef")
        .set("AUTH__ADMIN_TOKEN", "admin-0123456789abcdef");
    let relay = RelayProcess::start(options).await;
    for path in [
        "/config",
        "/metrics",
        "/health",
        "/events",
        "/events/poll",
        "/bitcoin/info",
    ] {
        let refused = http_get(&format!("{}{path}", relay.http_url())).await;
        assert_eq!(refused.status, 401, "{path}");
        assert_eq!(refused.headers["www-authenticate"], "Bearer");
    }
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(
            http_get(&format!("{}{path}", relay.http_url())).await.status,
            200,
            "{path}"
        );
    }
    let refused = http_post(&format!("{}/restart", relay.http_url()), &json!({})).await;
    assert_eq!(refused.status, 401);

    let rejected = Client::builder(&relay.ws_url()).connect().await.unwrap_err();
    assert!(rejected.to_string().contains("token"), "{rejected}");
    let (client, _events) = Client::builder(&relay.ws_url())
        .token("read-0123456789abcdef")
        .connect()
        .await
        .unwrap();
    client.ping().await.unwrap();
}
