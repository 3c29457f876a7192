//! An Oracle that is unavailable, behind, or another server: the index grows nevertheless, and the relay reports the
//! problem.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use testkit::{RelayProcess, eventually};

use crate::oracle::proxy::{Answer, proxy};
use crate::oracle::scene::{DEADLINE, Scene, health, metric, until_oracle_is, until_well};

#[tokio::test(flavor = "multi_thread")]
async fn an_oracle_outage_is_survived() {
    let mut scene = Scene::new().await;
    let http = format!("{}/blindbit/v2", scene.truth.http_url());
    for url in [http, scene.grpc_url()] {
        outage_of(&mut scene, &url).await;
    }
}

async fn outage_of(scene: &mut Scene, url: &str) {
    let relay = RelayProcess::start(scene.options(url)).await;
    until_oracle_is(&relay, "connected").await;
    scene.indexed(&relay).await;

    scene.truth.kill9();
    scene.pay().await;
    scene.indexed(&relay).await;
    let health = until_oracle_is(&relay, "disconnected").await;
    assert_eq!(
        (&health["status"], &health["checks"]["blindbit_api"]),
        (&json!("degraded"), &json!(false))
    );
    assert!(health["problems"].to_string().contains(url), "{health}");
    assert!(metric(&relay, "sdk_relay_blindbit_own_blocks_total").await >= 1);
    assert!(metric(&relay, "sdk_relay_blindbit_failures_total").await >= 1);

    scene.truth.start_again().await;
    scene.indexed(&scene.truth).await;
    let health = until_oracle_is(&relay, "connected").await;
    assert_eq!(health["problems"], json!([]));
    let before = metric(&relay, "sdk_relay_blindbit_blocks_total").await;
    scene.pay().await;
    scene.indexed(&relay).await;
    scene.indexed(&scene.truth).await;
    scene.assert_same(&relay).await;
    // The Oracle learns of a block at the same time as the relay: the request is retried until it has it.
    let after = metric(&relay, "sdk_relay_blindbit_blocks_total").await
        + metric(&relay, "sdk_relay_blindbit_own_blocks_total").await;
    assert!(after > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_does_not_wait_for_an_oracle_that_is_behind() {
    let mut scene = Scene::new().await;
    let newest = Arc::new(AtomicU32::new(scene.node.height().await - 2));
    let (truth, last) = (format!("{}/blindbit/v2", scene.truth.http_url()), Arc::clone(&newest));
    let behind = proxy(&truth, move |path, received| {
        let last = last.load(Ordering::Relaxed);
        let height = path.rsplit('/').next().and_then(|h| h.parse::<u32>().ok());
        match height {
            Some(height) if height > last => Answer::Status(500),
            Some(_) => Answer::Json(received),
            None => Answer::Json(with(received, "height", json!(last))),
        }
    })
    .await;
    let relay = RelayProcess::start(scene.options(&behind)).await;
    scene.indexed(&relay).await;
    scene.assert_same(&relay).await;
    assert_eq!(metric(&relay, "sdk_relay_blindbit_own_blocks_total").await, 2);
    let stuck = newest.load(Ordering::Relaxed);
    let received = until_oracle_is(&relay, "behind").await;
    assert_eq!(
        (&received["status"], &received["checks"]["blindbit_api"]),
        (&json!("degraded"), &json!(false))
    );
    let problem = format!("{behind} is behind: it lacks blocks {} to {}", stuck + 1, stuck + 2);
    assert!(received["problems"].to_string().contains(&problem), "{received}");

    // It catches up: detected without a new block.
    newest.store(u32::MAX, Ordering::Relaxed);
    until_well(&relay).await;
    scene.pay().await;
    scene.indexed(&relay).await;
    assert_eq!(metric(&relay, "sdk_relay_blindbit_implausible_total").await, 0);
}

/// The answer of a relay with too many requests from this address.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_requested_by_an_oracle_is_respected() {
    let scene = Scene::new().await;
    let truth = format!("{}/blindbit/v2", scene.truth.http_url());
    let requested = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&requested);
    let busy = proxy(&truth, move |_, received| match count.fetch_add(1, Ordering::Relaxed) {
        // Twice in a row, for any request.
        2 | 3 => Answer::Busy(1),
        _ => Answer::Json(received),
    })
    .await;
    let relay = RelayProcess::start(scene.options(&busy)).await;
    scene.indexed(&relay).await;
    scene.assert_same(&relay).await;
    assert!(requested.load(Ordering::Relaxed) > 4);
    assert_eq!(metric(&relay, "sdk_relay_blindbit_own_blocks_total").await, 0);
    assert_eq!(metric(&relay, "sdk_relay_blindbit_failures_total").await, 0);

    // One that requests a pause of an hour receives no requests meanwhile, and the relay reports it.
    let requested = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&requested);
    let closed = proxy(&truth, move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        Answer::Busy(3600)
    })
    .await;
    let relay = RelayProcess::start(scene.options(&closed)).await;
    scene.indexed(&relay).await;
    scene.assert_same(&relay).await;
    let received = until_oracle_is(&relay, "disconnected").await;
    assert!(
        received["problems"].to_string().contains("a Retry-After of 3600 s"),
        "{received}"
    );
    assert_eq!(requested.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_an_oracle_of_this_network_is_reported() {
    let scene = Scene::new().await;
    let truth = format!("{}/blindbit/v2", scene.truth.http_url());
    let other = proxy(&truth, |path, received| match path {
        "/info" => Answer::Json(with(received, "network", json!("signet"))),
        _ => Answer::Json(received),
    })
    .await;
    let endless = proxy(&truth, |path, received| match path {
        "/info" => Answer::Json(received),
        _ => Answer::Endless,
    })
    .await;
    let unreadable = proxy(&truth, |_, _| Answer::Json(json!([1, 2]))).await;
    let cases = [
        (other, "\\\"signet\\\""),
        (endless, "exceeds"),
        (unreadable, "cannot parse"),
        (scene.truth.http_url(), "404"),
        ("http://127.0.0.1:1".to_owned(), "127.0.0.1:1"),
    ];
    for (url, why) in cases {
        let relay = RelayProcess::start(scene.options(&url)).await;
        let output = eventually(DEADLINE, why, async || {
            let problems: Value = health(&relay).await["problems"].clone();
            problems.to_string().contains(why).then_some(problems)
        });
        output.await;
        scene.indexed(&relay).await;
        scene.assert_same(&relay).await;
    }
}

fn with(mut object: Value, field: &str, value: Value) -> Value {
    object[field] = value;
    object
}
