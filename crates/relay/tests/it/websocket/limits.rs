//! Limits: connections, and clients that do not read.

use futures_util::future::join_all;
use serde_json::json;
use testkit::{RelayProcess, eventually};

use crate::impatient;
use crate::wire::{DEADLINE, Wire, get, handshake, mine, standalone};
use testkit::{Bare, close_code};

#[tokio::test]
async fn a_connection_over_the_limit_is_asked_to_retry() {
    let relay = RelayProcess::start(standalone().set("LIMITS__CONNECTIONS", "2")).await;
    let mut first = Wire::connect(&relay.ws_url(), &["notifications"]).await;
    let mut second = Wire::connect(&relay.ws_url(), &[]).await;
    let mut third = Wire::open(&relay.ws_url()).await;
    let (code, reason) = third.closed().await;
    assert_eq!(code, 1013);
    assert!(reason.contains("too many connections"), "{reason}");
    first.assert_open().await;

    // The permit of a client that leaves is released.
    second.raw.send_close(1000).await.unwrap();
    second.closed().await;
    drop(second);
    eventually(DEADLINE, "the permit of the second", async || {
        let mut wire = Wire::open(&relay.ws_url()).await;
        // The refusal does not wait for a message, so the connection may be closed while the client still writes.
        drop(wire.raw.send_text(handshake(&[]).to_string()).await);
        match wire.raw.next_message().await {
            Ok(_) => Some(()),
            Err(_) => None,
        }
    })
    .await;
    mine(&relay, 1).await;
    assert_eq!(first.notification().await["notification_type"], "block_mined");
}

/// More than the systems of both sides hold of a connection, some 650 bytes for each of two events.
const BLOCKS: u32 = 3_000;
/// Clients that do not read.
const UNREAD: u64 = 10;

#[tokio::test]
async fn a_client_that_never_reads_is_closed_and_others_continue() {
    let relay = RelayProcess::start(impatient::standalone()).await;
    let mut reader = Wire::connect(&relay.ws_url(), &["notifications"]).await;
    let mut unread = Vec::new();
    for n in 0..UNREAD {
        let (url, path) = match n % 2 {
            0 => (relay.ws_url(), "/"),
            _ => (relay.http_url(), "/ws"),
        };
        let mut bare = Bare::connect_narrow(&url).await.upgrade_at(path).await;
        let topics = handshake(&["notifications", "tweaks"]).to_string();
        bare.send_frame(0x81, topics.as_bytes()).await;
        unread.push(bare);
    }

    let mining = async {
        for n in 0..BLOCKS / 1000 {
            mine(&relay, 1000).await;
            // The relay waits for them and reads nothing. Their input now must not make them lose unread output.
            for bare in unread.iter_mut().step_by(3).filter(|_| n == 1) {
                bare.send_frame(0x89, b"ping").await;
            }
        }
    };
    let reading = async {
        let mut height = None;
        for _ in 0..BLOCKS {
            let data = reader.notification().await["data"].clone();
            let next = data["block_height"].as_u64().unwrap();
            assert!(height.is_none_or(|h| next == h + 1), "{height:?}, then {next}");
            height = Some(next);
        }
    };
    tokio::join!(mining, reading);
    let cut = async || get(&relay, "/metrics").await["relay_metrics"]["slow_clients_cut"].as_u64();
    eventually(DEADLINE, "the end of those who do not read", async || {
        let connections = get(&relay, "/metrics").await["system_metrics"]["active_connections"].clone();
        cut().await.filter(|count| *count == UNREAD && connections == 1)
    })
    .await;
    // The relay has dropped them. The output that was sent can still be read, in order, and then the close code. Their
    // narrow windows make that slow: all read at once, while the other client continues.
    let rests = join_all(unread.iter_mut().map(|bare| bare.read_to_end(DEADLINE)));
    let other = async {
        mine(&relay, 1).await;
        assert_eq!(reader.notification().await["notification_type"], "block_mined");
    };
    let (rests, ()) = tokio::join!(rests, other);
    for (n, rest) in rests.iter().enumerate() {
        assert_eq!(close_code(rest), Some(1013), "{n}: {} bytes", rest.len());
    }
    assert_eq!(cut().await, Some(UNREAD));
}

#[tokio::test]
async fn the_total_number_of_watches_is_bounded() {
    let relay = RelayProcess::start(standalone().set("LIMITS__WATCHES", "1")).await;
    let mut first = Wire::connect(&relay.ws_url(), &[]).await;
    let mut second = Wire::connect(&relay.ws_url(), &[]).await;
    let watch = super::watches::watch(json!({"message_id": "w"}));
    assert_eq!(first.request(watch.clone()).await["type"], "watch_response");
    let error = second.request(watch.clone()).await;
    assert_eq!(
        (&error["code"], &error["in_reply_to"]),
        (&json!("unavailable"), &json!("w")),
        "{error}"
    );
    drop(first);
    eventually(DEADLINE, "the permit of the first", async || {
        let watches = get(&relay, "/metrics").await["relay_metrics"]["watches"].clone();
        (watches == 0).then_some(())
    })
    .await;
}
