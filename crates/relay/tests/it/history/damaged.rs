//! A block of the index is damaged: it is quarantined, restored from the node, and logged once; other histories
//! continue meanwhile.

use std::path::Path;

use sdk_relay_client::protocol::{HistoryState, MissingReason};
use serde_json::{Value, json};
use testkit::{Bitcoind, InputKind, Options, Payee, Payer, RelayOptions, RelayProcess, eventually, http_get};

use crate::history::order::index_is_current;
use crate::history::tweaks::missing_and_scanned;
use crate::history::watch_client::WatchClient;
use crate::stage::silent;
use crate::support::DEADLINE;

/// Flips a byte in the first tenth of the index's rows: in one of the oldest blocks.
fn flip_a_byte(relay: &RelayProcess) {
    let path = relay.data_dir().join("index/000000.rows");
    let mut bytes = std::fs::read(Path::new(&path)).unwrap();
    let at = bytes.len() / 20;
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

async fn health(relay: &RelayProcess) -> Value {
    http_get(&format!("{}/health", relay.http_url())).await.json()
}

/// Waits for a problem with this word; returns its text.
async fn problem(relay: &RelayProcess, word: &str) -> String {
    eventually(DEADLINE, format!("a problem with {word:?}"), async || {
        let health = health(relay).await;
        let problems = health["problems"].as_array().unwrap().iter();
        let mut problems = problems.filter_map(Value::as_str);
        let problem = problems.find(|problem| problem.contains(word))?.to_owned();
        assert_eq!(health["status"], "degraded", "{health}");
        Some(problem)
    })
    .await
}

fn logged(relay: &RelayProcess, words: &str) -> usize {
    relay.stderr().lines().filter(|line| line.contains(words)).count()
}

struct Scene {
    node: Bitcoind,
    payee: Payee,
    relay: RelayProcess,
    /// Height of the first payment; the other is in the last block.
    first: u32,
}

/// A payment among the first blocks and one in the last, all in the index.
async fn scene(options: Options) -> Scene {
    // Of its own: one test restarts it, the other prunes it.
    let node = Bitcoind::start(options).await;
    let mut payer = Payer::funded(&node).await;
    let payee = Payee::new(&[]);
    let mut pay = || payer.pay(&[InputKind::P2wpkh], &[silent(payee.address(), 20_000)]);
    let (early, late) = (pay(), pay());
    node.mine_with(std::slice::from_ref(&early)).await;
    let first = node.height().await;
    node.mine(800).await;
    node.mine_with(std::slice::from_ref(&late)).await;
    let relay = RelayProcess::start(RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node)).await;
    index_is_current(&relay, node.height().await).await;
    Scene {
        node,
        payee,
        relay,
        first,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_block_is_fetched_again_and_delays_no_other_history() {
    let Scene {
        mut node,
        payee,
        relay,
        first,
    } = scene(Options::default()).await;
    node.stop().await;
    flip_a_byte(&relay);
    let mut waiting = WatchClient::open(&relay, &payee, 1, None).await;
    assert_eq!(waiting.response.history, Some(HistoryState::Scanning));
    problem(&relay, "damaged").await;
    for _ in 0..3 {
        let mut other = WatchClient::open(&relay, &payee, first, None).await;
        other.until_complete().await;
        assert_eq!(other.detected().len(), 2);
    }
    node.start_again().await;
    waiting.until_complete().await;
    assert_eq!(waiting.detected().len(), 2);
    assert!(waiting.progress().iter().all(|p| p.missing.is_empty()));
    eventually(DEADLINE, "a healthy relay", async || {
        (health(&relay).await["status"] == "healthy").then_some(())
    })
    .await;
    let log = relay.stderr();
    assert_eq!(logged(&relay, "of the tweak index is damaged"), 1, "{log}");
    assert_eq!(logged(&relay, "restored a damaged block"), 1, "{log}");
    assert_eq!(logged(&relay, "cannot read"), 0, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_block_that_the_node_has_pruned_is_reported_as_missing() {
    let Scene { node, payee, relay, .. } = scene(Options {
        prune: Some(1),
        // Block files are pruned as a whole; this test option of the node limits them to 64 KiB.
        args: vec!["-fastprune".to_owned()],
        ..Options::default()
    })
    .await;
    node.rpc().call("pruneblockchain", json!([600])).await.unwrap();
    flip_a_byte(&relay);
    let mut client = WatchClient::open(&relay, &payee, 1, None).await;
    client.until_complete().await;
    let progress = client.progress();
    let [missing] = progress[progress.len() - 1].missing[..] else {
        panic!("{progress:?}")
    };
    assert_eq!((missing.from, missing.reason), (missing.to, MissingReason::Damaged));
    assert_eq!(client.detected().len(), 2, "all others are scanned");
    let detail = problem(&relay, "cannot be restored").await;
    assert!(detail.contains(&format!("block {} ", missing.from)), "{detail}");
    // A wallet that requests the block does not receive an empty one.
    let url = format!("{}/blindbit/v2/tweaks/{}", relay.http_url(), missing.from);
    let refused = http_get(&url).await;
    assert_eq!(refused.status.as_u16(), 503, "{}", refused.text());
    assert!(refused.text().contains("damaged"), "{}", refused.text());
    // A client that scans itself receives the same.
    let tip = node.height().await;
    let (left_out, heights) = missing_and_scanned(&relay, 1, tip).await;
    let block = format!("block {} (damaged", missing.from);
    assert!(matches!(&left_out[..], [one] if one.contains(&block)), "{left_out:?}");
    assert_eq!(heights, (1..=tip).filter(|h| *h != missing.from).collect::<Vec<_>>());
    // The next history gets it immediately, without a retry loop.
    let mut next = WatchClient::open(&relay, &payee, 1, None).await;
    next.until_complete().await;
    assert_eq!(
        logged(&relay, "cannot restore a damaged block of the tweak index; histories"),
        1,
        "{}",
        relay.stderr()
    );
    assert_eq!(logged(&relay, "of the tweak index is damaged"), 1, "{}", relay.stderr());
}
