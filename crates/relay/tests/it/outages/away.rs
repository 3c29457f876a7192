//! The node is unavailable: stopped, killed, not yet started.

use sdk_relay_client::{Client, ClientEvent, Notification, Topic};
use testkit::{Bitcoind, InputKind, Options, RelayProcess, eventually};
use tokio::time::timeout;

use crate::outages::{health, options, unwell, well};
use crate::story::listener::Listener;
use crate::story::scene::{DEADLINE, Scene};

/// One cause is one problem, which says what to do, although the wallet of the node is away too.
#[tokio::test]
async fn with_its_wallet_is_one_problem() {
    let node_options = Options {
        wallet: true,
        ..Options::default()
    };
    let mut node = Bitcoind::start(node_options).await;
    node.mine(1).await;
    let relay = RelayProcess::start(options().node(&node).set("BITCOIN_CORE__WALLET", "pays")).await;
    well(&relay).await;
    node.kill();
    let problem = unwell(&relay, "degraded", "does not answer").await;
    assert!(problem.contains("start the node"), "{problem}");
    // The wallet is asked every 3 s.
    eventually(DEADLINE, "the wallet to be found away", async || {
        relay.stderr().contains("bitcoin_core.wallet").then_some(())
    })
    .await;
    assert_eq!(health(&relay).await.1.problems, [problem]);
}

/// For longer than the relay's longest pause between two attempts (3 s) each time.
#[tokio::test]
async fn unreachable_with_refused_credentials_in_between() {
    let mut scene = Scene::new(Options::default()).await;
    let relay = RelayProcess::start(scene.relay()).await;
    scene.meet(&relay).await;
    let listener = Listener::start(relay.ws_url());
    let app = Client::builder(&relay.ws_url()).topics([Topic::Notifications, Topic::Tweaks]);
    let (client, mut events) = app.resume_from(Some(0)).connect().await.unwrap();
    scene.mixed_activity().await;
    let waiting = scene.pay(&[InputKind::P2tr], &[7_000]).await;
    scene.agrees(&listener).await;

    scene.node.stop().await;
    let address = scene.node.rpc_url().replace("http://", "");
    assert!(unwell(&relay, "degraded", "does not answer").await.contains(&address));
    // It runs without being accessible to the relay: with another password, and without signals.
    let hidden = Options {
        zmq: false,
        user: Some(("another".to_owned(), "password".to_owned())),
        ..Options::default()
    };
    scene.node.start_again_with(hidden).await;
    scene.mempool_loaded().await;
    scene.replace(&waiting, &[8_000]).await;
    scene.mixed_activity().await;
    assert!(
        // With a password the node has no cookie.
        unwell(&relay, "degraded", "no credentials for")
            .await
            .contains(&address)
    );
    scene.node.stop().await;
    unwell(&relay, "degraded", "does not answer").await;
    client.ping().await.expect("clients are served meanwhile");
    unwell(&relay, "degraded", "does not answer").await;

    scene.node.start_again_with(Options::default()).await;
    scene.mempool_loaded().await;
    scene.agrees(&listener).await;
    well(&relay).await;
    scene.mixed_activity().await;
    scene.agrees(&listener).await;

    assert_eq!(listener.connections(), 1, "no client lost its connection");
    let received = listener.received();
    assert_eq!(
        take(&mut events, received.len()).await,
        received,
        "to the SDK's client as well"
    );
    // Down, refused, down: a line for each change, not for each attempt. A line about a node that is still loading may
    // follow.
    let log = relay.stderr();
    let is_new = log
        .lines()
        .filter(|line| line.contains("cannot follow the chain") && !line.contains("is not ready"));
    assert_eq!(is_new.count(), 3, "{log}");
}

/// A kill loses the mempool, and blocks that the node had not yet written: their reported payments are reverted.
#[tokio::test]
async fn killed() {
    let mut scene = Scene::new(Options::default()).await;
    // The initial state is on disk.
    scene.node.stop().await;
    scene.node.start_again().await;
    let relay = RelayProcess::start(scene.relay()).await;
    scene.meet(&relay).await;
    let listener = Listener::start(relay.ws_url());
    scene.mixed_activity().await;
    let before = scene.agrees(&listener).await;
    assert!(
        before.payments.values().any(|(block, _)| block.is_none()),
        "a payment waits"
    );

    scene.node.kill();
    unwell(&relay, "degraded", "does not answer").await;
    scene.node.start_again().await;
    scene.mempool_loaded().await;
    let after = scene.agrees(&listener).await;
    assert!(
        after.payments.values().all(|(block, _)| block.is_some()),
        "the mempool was lost"
    );
    well(&relay).await;
    scene.mixed_activity().await;
    scene.agrees(&listener).await;
    assert_eq!(listener.connections(), 1);
}

#[tokio::test]
async fn started_after_the_relay() {
    let mut scene = Scene::new(Options::default()).await;
    scene.node.stop().await;
    let relay = RelayProcess::start_listening(scene.relay()).await;
    // The chain was never known: the relay cannot serve.
    let problem = unwell(&relay, "critical", "does not answer").await;
    assert!(
        problem.contains(&scene.node.rpc_url().replace("http://", "")),
        "{problem}"
    );
    let listener = Listener::start(relay.ws_url());
    scene.meet(&relay).await;
    scene.node.start_again().await;
    well(&relay).await;
    scene.mixed_activity().await;
    scene.agrees(&listener).await;
    assert_eq!(listener.connections(), 1);
}

/// Receives this number of events, without a connection loss in between.
async fn take(events: &mut sdk_relay_client::Events, how_many: usize) -> Vec<Notification> {
    let mut taken = Vec::new();
    while taken.len() < how_many {
        match timeout(DEADLINE, events.recv()).await.expect("the next event") {
            Some(ClientEvent::Notification(notification)) => taken.push(*notification),
            other => panic!("a notification, not {other:?}"),
        }
    }
    taken
}
