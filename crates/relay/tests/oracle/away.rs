//! An Oracle that is away, behind, or something else: the index grows all the same, and the relay says why it helps itself.

use serde_json::{Value, json};
use testkit::{RelayProcess, eventually};

use crate::proxy::{Answer, proxy};
use crate::scene::{DEADLINE, Scene, health, metric, until_oracle_is};

#[tokio::test(flavor = "multi_thread")]
async fn an_oracle_may_go_and_come_back() {
    let mut scene = Scene::new().await;
    let url = format!("{}/blindbit/v2", scene.truth.http_url());
    let relay = RelayProcess::start(scene.options(&url)).await;
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
    assert!(health["problems"].to_string().contains(&url), "{health}");
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
    // The Oracle hears of a block when the relay does: it is asked until it has it.
    let after = metric(&relay, "sdk_relay_blindbit_blocks_total").await
        + metric(&relay, "sdk_relay_blindbit_own_blocks_total").await;
    assert!(after > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oracle_that_is_behind_is_not_waited_for_longer_than_a_moment() {
    let scene = Scene::new().await;
    let last = scene.node.height().await - 2;
    let truth = format!("{}/blindbit/v2", scene.truth.http_url());
    let behind = proxy(&truth, move |path, told| {
        let height = path.rsplit('/').next().and_then(|h| h.parse::<u32>().ok());
        match height {
            Some(height) if height > last => Answer::Status(500),
            Some(_) => Answer::Json(told),
            None => Answer::Json(with(told, "height", json!(last))),
        }
    })
    .await;
    let relay = RelayProcess::start(scene.options(&behind)).await;
    scene.indexed(&relay).await;
    scene.assert_same(&relay).await;
    assert_eq!(health(&relay).await["services"]["blindbit"], "connected");
    assert_eq!(metric(&relay, "sdk_relay_blindbit_own_blocks_total").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_oracle_of_this_network_is_named() {
    let scene = Scene::new().await;
    let truth = format!("{}/blindbit/v2", scene.truth.http_url());
    let other = proxy(&truth, |path, told| match path {
        "/info" => Answer::Json(with(told, "network", json!("signet"))),
        _ => Answer::Json(told),
    })
    .await;
    let endless = proxy(&truth, |path, told| match path {
        "/info" => Answer::Json(told),
        _ => Answer::Endless,
    })
    .await;
    let unreadable = proxy(&truth, |_, _| Answer::Json(json!([1, 2]))).await;
    let cases = [
        (other, "\\\"signet\\\""),
        (endless, "longer than"),
        (unreadable, "cannot be read"),
        (scene.truth.http_url(), "404"),
        ("http://127.0.0.1:1".to_owned(), "127.0.0.1:1"),
    ];
    for (url, why) in cases {
        let relay = RelayProcess::start(scene.options(&url)).await;
        let said = eventually(DEADLINE, why, async || {
            let problems: Value = health(&relay).await["problems"].clone();
            problems.to_string().contains(why).then_some(problems)
        });
        said.await;
        scene.indexed(&relay).await;
        scene.assert_same(&relay).await;
    }
}

fn with(mut object: Value, field: &str, value: Value) -> Value {
    object[field] = value;
    object
}
