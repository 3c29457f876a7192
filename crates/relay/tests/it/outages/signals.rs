//! Without the node's signals (ZMQ): everything is found by polling.

use testkit::{Options, RelayProcess};

use crate::outages::{logged, well};
use crate::story::listener::Listener;
use crate::story::scene::Scene;

fn silent() -> Options {
    Options {
        zmq: false,
        ..Options::default()
    }
}

#[tokio::test]
async fn none_configured() {
    let mut scene = Scene::new(silent()).await;
    let relay = RelayProcess::start(scene.relay()).await;
    scene.meet(&relay).await;
    let listener = Listener::start(relay.ws_url());
    for _ in 0..3 {
        scene.mixed_activity().await;
        scene.agrees(&listener).await;
    }
    well(&relay).await;
    assert_eq!(logged(&relay, "ZMQ"), 0, "{}", relay.stderr());
}

#[tokio::test]
async fn configured_but_not_published_and_then_published() {
    let mut scene = Scene::new(silent()).await;
    let options = scene.relay().set("BITCOIN_CORE__ZMQ_URL", scene.node.zmq_url());
    let relay = RelayProcess::start(options).await;
    scene.meet(&relay).await;
    let listener = Listener::start(relay.ws_url());
    for _ in 0..3 {
        scene.mixed_activity().await;
        scene.agrees(&listener).await;
    }
    well(&relay).await;
    assert_eq!(
        logged(&relay, "cannot connect to the ZMQ publisher"),
        1,
        "{}",
        relay.stderr()
    );
    assert_eq!(logged(&relay, "receiving ZMQ messages"), 0, "{}", relay.stderr());

    scene.node.stop().await;
    scene.node.start_again_with(Options::default()).await;
    scene.mempool_loaded().await;
    testkit::eventually(crate::outages::DEADLINE, "the publisher is reported", async || {
        (logged(&relay, "receiving ZMQ messages") == 1).then_some(())
    })
    .await;
    scene.mixed_activity().await;
    scene.agrees(&listener).await;
    assert_eq!(
        logged(&relay, "cannot connect to the ZMQ publisher"),
        1,
        "{}",
        relay.stderr()
    );
}
