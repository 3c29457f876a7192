//! Wrong Oracles: detected and counted, without effect on the index. A wrong block affects only that block; an Oracle
//! is suspended after several in a row.

use serde_json::{Value, json};
use testkit::{RelayProcess, eventually};

use crate::oracle::proxy::{Answer, proxy};
use crate::oracle::scene::{DEADLINE, Scene, health, metric, until_oracle_is, until_well};

/// The generator: a valid point, but not a tweak of a transaction.
const OTHER: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
/// An x coordinate beyond the field.
const NO_POINT: &str = "02ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
/// Blocks after which an Oracle that is wrong about all of them is suspended.
const MAX_WRONG: u32 = 8;

/// Whether it is wrong, and how.
type Change = (bool, fn(&mut Vec<Value>));

const OF_VERSION_2: [Change; 7] = [
    (true, |txs| txs[0]["tweak"] = OTHER.into()),
    (true, |txs| txs[0]["tweak"] = NO_POINT.into()),
    // With an annex of over 33 bytes beside the NUMS point, an Oracle omits an eligible transaction …
    (true, |txs| drop(txs.pop())),
    (true, |txs| txs[0]["tweak"] = txs[1]["tweak"].clone()),
    (true, |txs| {
        let mut duplicate = txs[0].clone();
        duplicate["tweak"] = OTHER.into();
        txs.push(duplicate);
    }),
    // … and with an input of witness version 2 it includes an ineligible one. It also does after a reorganisation, with
    // transactions of the other block.
    (false, |txs| {
        txs.push(json!({"txid": "ab".repeat(32), "tweak": OTHER, "outputs": []}));
    }),
    (false, |txs| txs.push(txs[0].clone())),
];

const OF_VERSION_1: [Change; 3] = [
    (true, |tweaks| tweaks[0] = OTHER.into()),
    (true, |tweaks| drop(tweaks.pop())),
    (false, |tweaks| tweaks.push(OTHER.into())),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_transaction_affects_only_its_block() {
    let scene = Scene::new().await;
    let first = scene.first;
    for (n, (wrong, change)) in OF_VERSION_2.into_iter().enumerate() {
        let truth = format!("{}/blindbit/v2", scene.truth.http_url());
        let liar = proxy(&truth, move |path, mut received| {
            if path
                .strip_prefix("/compute-index/")
                .is_some_and(|height| is_own(height, first))
            {
                of_payments(&mut received["index"], change);
            }
            Answer::Json(received)
        });
        costs_these_blocks_alone(&scene, &liar.await, wrong, &format!("version 2, {n}")).await;
    }
    for (n, (wrong, change)) in OF_VERSION_1.into_iter().enumerate() {
        let truth = format!("{}/blindbit/v1", scene.truth.http_url());
        let liar = proxy(&truth, move |path, mut received| {
            if path
                .strip_prefix("/tweak-index/")
                .is_some_and(|height| is_own(height, first))
            {
                of_payments(&mut received, change);
            }
            Answer::Json(received)
        });
        costs_these_blocks_alone(&scene, &liar.await, wrong, &format!("version 1, {n}")).await;
    }
}

/// Whether this is a block of this test: the node may have blocks of others.
fn is_own(height: &str, first: u32) -> bool {
    height.parse::<u32>().is_ok_and(|height| height >= first)
}

/// Only for the three blocks of four payments: the others are unchanged.
fn of_payments(list: &mut Value, change: fn(&mut Vec<Value>)) {
    if let Some(list) = list.as_array_mut().filter(|list| list.len() == 4) {
        change(list);
    }
}

async fn costs_these_blocks_alone(scene: &Scene, liar: &str, wrong: bool, which: &str) {
    let relay = RelayProcess::start(scene.options(liar)).await;
    scene.indexed(&relay).await;
    scene.assert_same(&relay).await;
    let cost = if wrong { 3 } else { 0 };
    assert_eq!(
        metric(&relay, "sdk_relay_blindbit_implausible_total").await,
        cost,
        "{which}"
    );
    assert_eq!(
        metric(&relay, "sdk_relay_blindbit_own_blocks_total").await,
        cost,
        "{which}"
    );
    let beside = metric(&relay, "sdk_relay_blindbit_other_tweaks_total").await;
    assert_eq!(beside, if wrong { 0 } else { 3 }, "{which}");
    assert_eq!(
        relay.stderr().contains("is wrong about a block"),
        wrong,
        "{}",
        relay.stderr()
    );
    // It still receives requests.
    until_well(&relay).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oracle_that_is_wrong_about_every_block_is_suspended() {
    let mut scene = Scene::new().await;
    let truth = format!("{}/blindbit/v2", scene.truth.http_url());
    let liar = proxy(&truth, move |path, mut received| {
        if path.starts_with("/compute-index/")
            && let Some(list) = received["index"].as_array_mut()
        {
            list.iter_mut().for_each(|tx| tx["tweak"] = OTHER.into());
        }
        Answer::Json(received)
    })
    .await;
    for _ in 0..MAX_WRONG {
        scene.pay().await;
    }
    scene.indexed(&scene.truth).await;
    let relay = RelayProcess::start(scene.options(&liar)).await;
    let health = until_oracle_is(&relay, "implausible").await;
    let problems = health["problems"].to_string();
    assert!(
        problems.contains("wrong about eight blocks in a row") && problems.contains(&liar),
        "{problems}"
    );
    assert_eq!(
        (&health["status"], &health["checks"]["blindbit_api"]),
        (&json!("degraded"), &json!(false))
    );
    scene.indexed(&relay).await;
    scene.assert_same(&relay).await;
    // It receives no more requests.
    let requested = metric(&relay, "sdk_relay_blindbit_requests_total").await;
    scene.pay().await;
    scene.indexed(&relay).await;
    assert_eq!(metric(&relay, "sdk_relay_blindbit_requests_total").await, requested);
}

/// A real Oracle of version 2 returns the transactions of a block that a reorganisation has removed under the hash of
/// the replacing block.
#[tokio::test(flavor = "multi_thread")]
async fn tweaks_of_removed_transactions_are_ignored() {
    let mut scene = Scene::new().await;
    let height = scene.node.height().await;
    let truth = format!("{}/blindbit/v2", scene.truth.http_url());
    let removed = testkit::http_get(&format!("{truth}/compute-index/{height}"))
        .await
        .json();
    let removed = removed["index"].as_array().unwrap().clone();
    assert_eq!(removed.len(), 4);
    let keeps = proxy(&truth, move |path, mut received| {
        if path == format!("/compute-index/{height}")
            && let Some(list) = received["index"].as_array_mut()
        {
            let orphans = removed
                .iter()
                .filter(|tx| !list.contains(tx))
                .cloned()
                .collect::<Vec<_>>();
            list.extend(orphans);
        }
        Answer::Json(received)
    })
    .await;
    let fork = scene.node.tip().await;
    scene.node.invalidate(fork).await;
    // It is replaced by a block of other payments.
    scene.pay().await;
    scene.pay().await;
    scene.indexed(&scene.truth).await;
    let relay = RelayProcess::start(scene.options(&keeps)).await;
    scene.indexed(&relay).await;
    scene.assert_same(&relay).await;
    assert_eq!(metric(&relay, "sdk_relay_blindbit_other_tweaks_total").await, 4);
    assert_eq!(metric(&relay, "sdk_relay_blindbit_implausible_total").await, 0);
    assert_eq!(metric(&relay, "sdk_relay_blindbit_own_blocks_total").await, 0);
    eventually(DEADLINE, "a healthy relay", async || {
        (health(&relay).await["status"] == "healthy").then_some(())
    })
    .await;
}
