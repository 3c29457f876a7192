//! Resuming: every retained event after `resume_from`, in order, before any new one.

use serde_json::{Value, json};
use testkit::{Bitcoind, Options, RelayOptions, RelayProcess};

use crate::wire::{Wire, handshake, mine, standalone, start};

fn resume(capabilities: &[&str], from: u64) -> Value {
    let mut message = handshake(capabilities);
    message["resume_from"] = json!(from);
    message
}

async fn ids(wire: &mut Wire, count: usize) -> Vec<u64> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(wire.receive().await["event_id"].as_u64().expect("an event of the log"));
    }
    ids
}

/// Waits until the log has reached this event.
async fn until(relay: &RelayProcess, event_id: u64) {
    testkit::eventually(crate::wire::DEADLINE, format!("event {event_id}"), async || {
        let head = Wire::connect_with(&relay.ws_url(), handshake(&[])).await.1["last_event_id"].as_u64();
        (head >= Some(event_id)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_resume_is_complete_in_order_and_then_live() {
    let relay = start().await;
    // Two events a block: itself and its tweaks.
    mine(&relay, 300).await;
    until(&relay, 600).await;
    let (mut wire, response) = Wire::connect_with(&relay.ws_url(), resume(&["notifications", "tweaks"], 100)).await;
    assert_eq!(
        (&response["resume"], &response["last_event_id"]),
        (&json!("complete"), &json!(600))
    );
    assert_eq!(ids(&mut wire, 500).await, (101..=600).collect::<Vec<_>>());
    mine(&relay, 2).await;
    assert_eq!(ids(&mut wire, 4).await, [601, 602, 603, 604]);

    // Only the subscribed topics, and nothing for a client that is up to date.
    let (mut blocks, _) = Wire::connect_with(&relay.ws_url(), resume(&["notifications"], 598)).await;
    assert_eq!(ids(&mut blocks, 3).await, [599, 601, 603]);
    let (mut head, response) = Wire::connect_with(&relay.ws_url(), resume(&["notifications"], 604)).await;
    assert_eq!(response["resume"], "complete");
    mine(&relay, 1).await;
    assert_eq!(ids(&mut head, 1).await, [605]);
}

#[tokio::test]
async fn a_resume_works_across_a_restart() {
    let mut relay = start().await;
    mine(&relay, 3).await;
    until(&relay, 6).await;
    assert!(relay.terminate().await.success());
    relay.start_again().await;
    let (mut wire, response) = Wire::connect_with(&relay.ws_url(), resume(&["notifications", "tweaks"], 2)).await;
    assert_eq!(response["resume"], "complete");
    assert_eq!(ids(&mut wire, 4).await, [3, 4, 5, 6]);
    mine(&relay, 1).await;
    assert_eq!(ids(&mut wire, 2).await, [7, 8]);
}

/// The first start migrates its store; clients receive the same bytes as before.
#[tokio::test]
async fn a_log_of_version_0_1_is_resumed_by_id_and_by_block() {
    let mut relay = start().await;
    let (mut wire, _) = Wire::connect_with(&relay.ws_url(), handshake(&["notifications", "tweaks"])).await;
    mine(&relay, 3).await;
    let mut before = Vec::new();
    for _ in 0..6 {
        before.push(wire.receive_text().await);
    }
    drop(wire);
    assert!(relay.terminate().await.success());
    sdk_relay_store::testing::downgrade(&relay.data_dir().join("relay.redb"));
    relay.start_again().await;
    let log = relay.stderr();
    assert!(
        log.contains("migrating the event log") && log.contains("the event log is migrated"),
        "{log}"
    );
    let second: Value = serde_json::from_str(&before[2]).expect("the second block");
    let mut by_block = handshake(&["notifications", "tweaks"]);
    by_block["resume_after"] = json!([second["data"]["block_hash"]]);
    for (message, after) in [(resume(&["notifications", "tweaks"], 0), 0), (by_block, 3)] {
        let (mut wire, response) = Wire::connect_with(&relay.ws_url(), message).await;
        assert_eq!(response["resume"], "complete", "{response}");
        for expected in &before[after..] {
            assert_eq!(wire.receive_text().await, *expected);
        }
    }
    mine(&relay, 1).await;
    assert!(relay.terminate().await.success());
    relay.start_again().await;
    let (mut wire, _) = Wire::connect_with(&relay.ws_url(), resume(&["notifications", "tweaks"], 5)).await;
    assert_eq!(ids(&mut wire, 3).await, [6, 7, 8]);
    assert!(!relay.stderr().contains("migrat"), "migrated only once");
}

#[tokio::test]
async fn a_gap_is_reported_and_the_remaining_events_follow() {
    let relay = RelayProcess::start(standalone().set("RETENTION__EVENTS", "10")).await;
    mine(&relay, 50).await;
    until(&relay, 100).await;
    let (mut wire, response) = Wire::connect_with(&relay.ws_url(), resume(&["notifications", "tweaks"], 0)).await;
    assert_eq!(response["resume"], "gap", "{response}");
    let first = ids(&mut wire, 1).await[0];
    assert!((2..=100).contains(&first), "{first}");
    let rest = usize::try_from(100 - first).unwrap();
    assert_eq!(ids(&mut wire, rest).await, (first + 1..=100).collect::<Vec<_>>());
    let (_, response) = Wire::connect_with(&relay.ws_url(), resume(&["notifications"], first - 1)).await;
    assert_eq!(response["resume"], "complete", "nothing is missing after {}", first - 1);
}

#[tokio::test]
async fn an_id_of_another_log_is_a_gap() {
    let relay = start().await;
    for from in [1, 1 << 40, u64::MAX] {
        let (mut wire, response) = Wire::connect_with(&relay.ws_url(), resume(&["notifications"], from)).await;
        assert_eq!(response["resume"], "gap", "{from}: {response}");
        wire.assert_open().await;
    }
}

/// The ids of a log that was moved away must not be taken for ids of the one that begins in its place.
#[tokio::test]
async fn ids_of_a_log_that_was_moved_away_are_a_gap_in_the_next_one() {
    let mut relay = start().await;
    mine(&relay, 3).await;
    until(&relay, 6).await;
    assert!(relay.terminate().await.success());
    let store = relay.data_dir().join("relay.redb");
    std::fs::rename(&store, store.with_extension("away")).expect("the store");
    relay.start_again().await;
    mine(&relay, 5).await;
    let (_, response) = Wire::connect_with(&relay.ws_url(), handshake(&[])).await;
    let newest = response["last_event_id"].as_u64().expect("a number");
    assert!(newest > 6, "{newest}");
    for from in [0, 2, 6] {
        let (_, response) = Wire::connect_with(&relay.ws_url(), resume(&["notifications", "tweaks"], from)).await;
        assert_eq!(response["resume"], "gap", "{from}: {response}");
    }
    let (mut wire, response) = Wire::connect_with(&relay.ws_url(), resume(&["notifications", "tweaks"], newest)).await;
    assert_eq!(response["resume"], "complete", "{response}");
    mine(&relay, 1).await;
    assert!(ids(&mut wire, 1).await[0] > newest);
}

/// While the relay was stopped, the node has pruned blocks that the relay had not seen: earlier clients cannot be
/// complete.
#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_the_node_has_pruned_meanwhile_are_a_gap() {
    // Block files are pruned as a whole; this test option of the node limits them to 64 KiB.
    // Of its own: it is pruned.
    let node = Bitcoind::start(Options {
        prune: Some(1),
        args: vec!["-fastprune".to_owned()],
        ..Options::default()
    })
    .await;
    node.mine(101).await;
    let mut relay = RelayProcess::start(RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node)).await;
    node.mine(1).await;
    until(&relay, 1).await;
    let last = Wire::connect_with(&relay.ws_url(), handshake(&[])).await.1["last_event_id"].clone();
    relay.terminate().await;
    node.mine(800).await;
    node.rpc().call("pruneblockchain", json!([700])).await.unwrap();
    relay.start_again().await;
    let mut again = handshake(&["notifications"]);
    again["resume_from"] = last;
    let (mut wire, response) = Wire::connect_with(&relay.ws_url(), again).await;
    assert_eq!(response["resume"], "gap", "{response}");
    let first = wire.receive().await;
    assert!(
        first["data"]["block_height"].as_u64() > Some(103),
        "it continues after the gap: {first}"
    );
}
