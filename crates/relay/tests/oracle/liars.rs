//! Oracles that lie: noticed, named, and nothing of it is in the index.

use serde_json::{Value, json};
use testkit::RelayProcess;

use crate::proxy::{Answer, proxy};
use crate::scene::{Scene, metric, until_oracle_is};

/// The generator: a point, and nobody's tweak.
const OTHER: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
/// An x coordinate beyond the field.
const NO_POINT: &str = "02ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

type Lie = (&'static str, fn(&mut Vec<Value>));

const OF_VERSION_2: [Lie; 6] = [
    ("is another", |txs| txs[0]["tweak"] = OTHER.into()),
    ("no point", |txs| txs[0]["tweak"] = NO_POINT.into()),
    ("is not among those named", |txs| drop(txs.pop())),
    ("named twice", |txs| txs.push(txs[0].clone())),
    ("same tweak", |txs| txs[0]["tweak"] = txs[1]["tweak"].clone()),
    ("are not eligible", |txs| {
        txs.push(json!({"txid": "ab".repeat(32), "tweak": OTHER, "outputs": []}));
    }),
];

const OF_VERSION_1: [Lie; 3] = [
    ("that no transaction has", |tweaks| tweaks[0] = OTHER.into()),
    ("it lists 3 tweaks", |tweaks| drop(tweaks.pop())),
    ("it lists 5 tweaks", |tweaks| tweaks.push(OTHER.into())),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_is_named_and_not_indexed() {
    let scene = Scene::new().await;
    for (why, lie) in OF_VERSION_2 {
        let truth = format!("{}/blindbit/v2", scene.truth.http_url());
        let liar = proxy(&truth, move |path, mut told| {
            if path.starts_with("/compute-index/") {
                lying(&mut told["index"], lie);
            }
            Answer::Json(told)
        });
        is_noticed(&scene, &liar.await, why).await;
    }
    for (why, lie) in OF_VERSION_1 {
        let truth = format!("{}/blindbit/v1", scene.truth.http_url());
        let liar = proxy(&truth, move |path, mut told| {
            if path.starts_with("/tweak-index/") {
                lying(&mut told, lie);
            }
            Answer::Json(told)
        });
        is_noticed(&scene, &liar.await, why).await;
    }
}

/// Of the blocks of four payments alone: the others are as they are.
fn lying(list: &mut Value, lie: fn(&mut Vec<Value>)) {
    if let Some(list) = list.as_array_mut().filter(|list| list.len() == 4) {
        lie(list);
    }
}

async fn is_noticed(scene: &Scene, liar: &str, why: &str) {
    let relay = RelayProcess::start(scene.options(liar)).await;
    let health = until_oracle_is(&relay, "implausible").await;
    let problems = health["problems"].to_string();
    assert!(problems.contains(why) && problems.contains(liar), "{why}: {problems}");
    assert_eq!(
        (&health["status"], &health["checks"]["blindbit_api"]),
        (&json!("degraded"), &json!(false))
    );
    assert!(relay.stderr().contains("said something wrong"), "{}", relay.stderr());
    scene.indexed(&relay).await;
    scene.assert_same(&relay).await;
    // Blocks of the same moment may have been asked for before the first lie was noticed.
    assert!(metric(&relay, "sdk_relay_blindbit_implausible_total").await >= 1);
    assert!(metric(&relay, "sdk_relay_blindbit_own_blocks_total").await >= 1);
}
