//! The node is one of another network than the relay is configured for.

use sdk_relay_client::{Client, Topic};
use testkit::{Options, RelayProcess, eventually};

use crate::outages::{logged, unwell};
use crate::story::scene::{DEADLINE, Scene};

#[tokio::test]
async fn no_event_of_another_chain_is_sent() {
    let args = vec!["-debug=rpc".to_owned()];
    let scene = Scene::new(Options {
        args,
        ..Options::default()
    })
    .await;
    let relay = RelayProcess::start_listening(scene.relay().set("NETWORK", "signet")).await;
    let problem = unwell(&relay, "critical", "regtest").await;
    let address = scene.node.rpc_url().replace("http://", "");
    for word in ["signet", "network", "bitcoin_core.url", address.as_str()] {
        assert!(problem.contains(word), "{problem}");
    }
    // A block, and then several further polls: the figures are requested every 5 s, so most of these are of the
    // follower.
    scene.node.mine(1).await;
    let requested = requested(&scene);
    eventually(DEADLINE, "the relay asks on", async || {
        (self::requested(&scene) >= requested + 5).then_some(())
    })
    .await;
    let app = Client::builder(&relay.ws_url()).topics([Topic::Notifications, Topic::Tweaks]);
    let (client, _events) = app.resume_from(Some(0)).connect().await.unwrap();
    assert_eq!(client.relay().last_event_id, 0, "there is no event");
    unwell(&relay, "critical", "regtest").await;
    assert_eq!(
        logged(&relay, "is a node of the chain regtest"),
        1,
        "{}",
        relay.stderr()
    );
}

/// Number of status requests to the node.
fn requested(scene: &Scene) -> usize {
    let log = std::fs::read_to_string(scene.node.datadir().join("regtest/debug.log")).unwrap();
    log.lines()
        .filter(|line| line.contains("method=getblockchaininfo"))
        .count()
}
