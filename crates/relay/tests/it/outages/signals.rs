//! Without the node's signals (ZMQ): everything is found by polling.

use testkit::{Options, RelayProcess, eventually, http_get};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::outages::{DEADLINE, health, logged, well};
use crate::story::listener::Listener;
use crate::story::scene::Scene;

fn silent() -> Options {
    Options {
        zmq: false,
        ..Options::default()
    }
}

/// `event_source` of `/health`, which `/metrics` has too.
async fn source(relay: &RelayProcess) -> String {
    let metrics = http_get(&format!("{}/metrics", relay.http_url())).await.json();
    let source = health(relay).await.1.event_source;
    assert_eq!(metrics["relay_metrics"]["event_source"], source);
    source
}

/// The problem with these words of a relay whose node works.
async fn degraded(relay: &RelayProcess, words: &str) -> String {
    eventually(DEADLINE, format!("a problem with {words:?}"), async || {
        let (code, health) = health(relay).await;
        let fine = code == 200 && health.status == "degraded" && health.checks.bitcoin_rpc;
        health
            .problems
            .into_iter()
            .find(|problem| fine && problem.contains(words))
    })
    .await
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
    let problem = degraded(&relay, "the node publishes no ZMQ messages").await;
    assert!(
        problem.contains("add zmqpubsequence, zmqpubrawtx and zmqpubhashblock") && problem.contains("\"off\""),
        "{problem}"
    );
    assert_eq!(source(&relay).await, "polling");
    assert_eq!(
        logged(&relay, "the node publishes no ZMQ messages: it is polled"),
        1,
        "{}",
        relay.stderr()
    );
}

#[tokio::test]
async fn turned_off() {
    let scene = Scene::new(silent()).await;
    let relay = RelayProcess::start(scene.relay().set("BITCOIN_CORE__ZMQ_URL", "off")).await;
    well(&relay).await;
    assert_eq!(source(&relay).await, "polling");
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
    let problem = degraded(&relay, "cannot be reached").await;
    assert!(problem.contains(&scene.node.zmq_url()), "{problem}");
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
    eventually(DEADLINE, "the publisher is reported", async || {
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

/// Each cut is repaired within a tenth of a second, and hardly any look at `/health` meets one.
#[tokio::test]
async fn cut_again_and_again() {
    let mut scene = Scene::new(Options::default()).await;
    let publisher = scene.node.zmq_url().trim_start_matches("tcp://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let between = format!("tcp://{}", listener.local_addr().unwrap());
    let cuts = watch::Sender::new(0);
    let cut = cuts.subscribe();
    let (accepted, mut connections) = watch::channel(0);
    let passing = tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = TcpStream::connect(&publisher).await.unwrap();
            let mut cut = cut.clone();
            cut.mark_unchanged();
            accepted.send_modify(|count| *count += 1);
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => {}
                _ = cut.changed() => {}
            }
        }
    });
    let relay = RelayProcess::start(scene.relay().set("BITCOIN_CORE__ZMQ_URL", &between)).await;
    scene.meet(&relay).await;
    for n in 1..=4 {
        let connected = timeout(DEADLINE, connections.wait_for(|count| *count == n)).await;
        connected.expect("a connection in time").expect("the test passes it on");
        // The node names another address: only a message shows that all topics are published at this one.
        eventually(DEADLINE, format!("no problem after {} cuts", n - 1), async || {
            scene.node.mine(1).await;
            let (_, health) = health(&relay).await;
            (health.event_source == "zmq" && health.problems.is_empty()).then_some(())
        })
        .await;
        cuts.send_replace(n);
    }
    let problem = degraded(&relay, "ends again and again").await;
    assert!(
        problem.contains(&between) && problem.contains("zmq_url to \"off\""),
        "{problem}"
    );
    passing.abort();
}
