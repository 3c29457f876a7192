use std::time::Duration;

use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use serde_json::Value;
use tokio::time::advance;

use super::*;

const OBJECT: &str = r#"{"address":"sprt1q","labels":[0,3],"start_height":7}"#;

fn subscription() -> Subscription {
    Subscription::new("sprt1q", &[0, 3], 7)
}

fn key() -> PublicKey {
    SecretKey::from_slice(&[1; 32]).unwrap().public_key(&Secp256k1::new())
}

fn outpoint(n: u32, vout: u32) -> OutPoint {
    let mut txid = [0; 32];
    txid[..4].copy_from_slice(&n.to_le_bytes());
    OutPoint::new(Txid::from_byte_array(txid), vout)
}

fn payment(height: Option<u32>, confirmations: u32) -> Payment {
    Payment {
        txid: String::new(),
        block_height: height,
        block_hash: None,
        amount: String::new(),
        address: String::new(),
        confirmations,
        timestamp: 0,
        fee: None,
        size: 0,
        vout: 0,
        tweak: None,
        label: None,
        watch_id: None,
        amount_sats: 0,
        fee_sats: None,
        public_key: None,
        spent_by: None,
        spent_height: None,
        replaced_by: None,
        historical: confirmations > 1,
    }
}

/// Progress and heights of each line. Every one has the same subscription.
fn read(lines: &[String]) -> Vec<(f64, Vec<u64>)> {
    let one = |line: &String| {
        let message: Value = serde_json::from_str(line).unwrap();
        assert_eq!(message["method"], SUBSCRIBE);
        assert!(
            line.contains(&format!(r#""subscription":{OBJECT},"progress":"#)),
            "{line}"
        );
        let params = &message["params"];
        let history = params["history"].as_array().unwrap();
        let heights = history.iter().map(|entry| entry["height"].as_u64().unwrap()).collect();
        (params["progress"].as_f64().unwrap(), heights)
    };
    lines.iter().map(one).collect()
}

fn due(subscription: &mut Subscription) -> Vec<(f64, Vec<u64>)> {
    read(&subscription.due(Instant::now(), &Timeouts::default(), false))
}

async fn pass(milliseconds: u64) {
    advance(Duration::from_millis(milliseconds)).await;
}

#[test]
fn the_bytes_of_a_notification() {
    let mut subscription = subscription();
    assert_eq!(subscription.object(), OBJECT);
    subscription.progress = 0.42;
    let entry = format!(
        r#"{{"height":890004,"tx_hash":"{}","tweak_key":"{}"}}"#,
        outpoint(1, 0).txid,
        key()
    );
    assert_eq!(
        subscription.notification(std::slice::from_ref(&entry), false),
        format!(
            r#"{{"jsonrpc":"2.0","method":"blockchain.silentpayments.subscribe","params":{{"subscription":{OBJECT},"progress":0.42,"history":[{entry}]}}}}"#
        )
    );
    subscription.progress = 1.0;
    assert_eq!(
        subscription.notification(&[], true),
        format!(r#"{{"jsonrpc":"2.0","method":"blockchain.silentpayments.subscribe","params":[{OBJECT},1.0,[]]}}"#)
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_within_250_ms_of_the_answer_and_the_first_notification_is_empty() {
    let timeouts = Timeouts::default();
    let mut subscription = subscription();
    subscription.detected(outpoint(1, 0), &payment(Some(9), 100), key());
    subscription.progressed(1.0);
    assert_eq!(
        (subscription.next(&timeouts), due(&mut subscription)),
        (None, vec![]),
        "it is not answered"
    );
    let answered = Instant::now();
    subscription.set_answered(answered);
    assert_eq!(
        subscription.next(&timeouts),
        Some(answered + Duration::from_millis(250))
    );
    pass(249).await;
    assert_eq!(due(&mut subscription), []);
    pass(1).await;
    assert_eq!(due(&mut subscription), [(0.0, vec![]), (0.0, vec![9]), (1.0, vec![])]);
    assert_eq!(
        (due(&mut subscription), subscription.next(&timeouts)),
        (vec![], None),
        "it is live"
    );
}

#[tokio::test(start_paused = true)]
async fn a_scan_is_reported_every_five_seconds_and_progress_never_falls() {
    let mut subscription = subscription();
    subscription.set_answered(Instant::now());
    pass(250).await;
    assert_eq!(due(&mut subscription), [(0.0, vec![])]);
    for (share, shown) in [(0.1, 0.1), (0.05, 0.1), (0.99999, 0.9999)] {
        subscription.progressed(share);
        assert_eq!(
            subscription.next(&Timeouts::default()),
            Some(Instant::now() + Duration::from_secs(5))
        );
        pass(4_999).await;
        assert_eq!(due(&mut subscription), []);
        pass(1).await;
        assert_eq!(due(&mut subscription), [(shown, vec![])]);
    }
    // A page counts as a report.
    subscription.detected(outpoint(1, 0), &payment(Some(9), 100), key());
    assert_eq!(due(&mut subscription), [(0.9999, vec![9])]);
    pass(4_999).await;
    assert_eq!(due(&mut subscription), []);
    subscription.progressed(1.0);
    assert_eq!(due(&mut subscription), [(1.0, vec![])]);
    pass(60_000).await;
    assert_eq!(due(&mut subscription), [], "a live subscription is silent");
}

#[tokio::test(start_paused = true)]
async fn pages_have_at_most_a_hundred_transactions_and_history_comes_before_live_ones() {
    let mut subscription = subscription();
    subscription.set_answered(Instant::now());
    for n in 0..250 {
        subscription.detected(outpoint(n, 0), &payment(Some(n), 5_000), key());
        // Further outputs of the same transaction.
        subscription.detected(outpoint(n, 1), &payment(Some(n), 5_000), key());
    }
    subscription.progressed(1.0);
    subscription.detected(outpoint(999, 0), &payment(None, 0), key());
    pass(250).await;
    let sizes: Vec<_> = due(&mut subscription)
        .into_iter()
        .map(|(progress, page)| (progress, page.len()))
        .collect();
    assert_eq!(sizes, [(0.0, 0), (0.0, 100), (0.0, 100), (0.0, 50), (1.0, 0), (1.0, 1)]);
    assert_eq!(subscription.reported.len(), 1, "final transactions are not kept");
}

#[tokio::test(start_paused = true)]
async fn each_transaction_is_told_once_and_again_after_a_reorganisation() {
    let mut subscription = subscription();
    subscription.set_answered(Instant::now());
    subscription.progressed(1.0);
    pass(250).await;
    due(&mut subscription);
    let (mempool, block) = (payment(None, 0), |height| payment(Some(height), 1));
    let mut step = |change: &dyn Fn(&mut Subscription), reported: &[u64], what: &str| {
        change(&mut subscription);
        let sent: Vec<u64> = due(&mut subscription).into_iter().flat_map(|(_, page)| page).collect();
        assert_eq!(sent, reported, "{what}");
    };
    step(&|s| s.detected(outpoint(1, 0), &mempool, key()), &[0], "in the mempool");
    step(
        &|s| s.detected(outpoint(1, 1), &mempool, key()),
        &[],
        "its second output",
    );
    step(&|s| s.detected(outpoint(1, 0), &block(20), key()), &[], "confirmed");
    step(
        &|s| s.detected(outpoint(2, 0), &block(21), key()),
        &[21],
        "another, in a block",
    );
    step(
        &|s| s.detected(outpoint(2, 1), &block(21), key()),
        &[],
        "its second output",
    );
    step(
        &|s| {
            s.reverted(outpoint(2, 0), true);
            s.reverted(outpoint(2, 1), true);
            s.reverted(outpoint(1, 0), true);
        },
        &[],
        "disconnected",
    );
    step(
        &|s| s.detected(outpoint(2, 0), &block(20), key()),
        &[20],
        "in a block of the new branch",
    );
    step(
        &|s| s.detected(outpoint(2, 1), &block(20), key()),
        &[],
        "its second output",
    );
    step(
        &|s| s.detected(outpoint(1, 0), &mempool, key()),
        &[0],
        "back in the mempool",
    );
    step(
        &|s| s.detected(outpoint(1, 0), &block(23), key()),
        &[23],
        "and in the new branch",
    );
    step(&|s| s.detected(outpoint(3, 0), &mempool, key()), &[0], "a third");
    step(&|s| s.reverted(outpoint(3, 0), false), &[], "evicted");
    step(&|s| s.detected(outpoint(3, 0), &mempool, key()), &[0], "and it is back");
}

#[test]
fn transactions_that_are_final_are_forgotten() {
    let mut subscription = subscription();
    for n in 0..10_000 {
        subscription.detected(outpoint(n, 0), &payment(Some(n), 1), key());
    }
    assert!(
        subscription.reported.len() < 3 * KEPT_BLOCKS as usize,
        "{}",
        subscription.reported.len()
    );
    assert!(subscription.is_full());
    assert_eq!(subscription.bytes(), subscription.reported.len() * REPORTED_BYTES);
}
