//! Problems that only an operator can fix: `/health` reports them while they last, and the relay serves clients.

use testkit::{Bitcoind, Options, PooledNode, RelayOptions, RelayProcess, eventually};

use crate::outages::{health, options, well};
use crate::story::scene::DEADLINE;

/// Waits for a relay that is degraded, with a problem that has all these words.
async fn degraded(relay: &RelayProcess, words: &[&str]) {
    let mut last = None;
    let found = eventually(DEADLINE, format!("a degraded relay with {words:?}"), async || {
        let (code, health) = health(relay).await;
        let found = health
            .problems
            .iter()
            .any(|p| words.iter().all(|word| p.contains(word)));
        let found = found && health.status == "degraded" && code == 200;
        last = Some(health);
        found.then_some(())
    });
    found.await;
    let health = last.unwrap();
    // The node works, and is followed.
    assert_eq!(health.services.bitcoin_core, "connected", "{health:?}");
}

fn without_zmq() -> Options {
    Options {
        zmq: false,
        ..Options::default()
    }
}

#[tokio::test]
async fn a_zmq_address_that_cannot_be_reached() {
    // Of its own: it is restarted.
    let mut node = Bitcoind::start(Options::default()).await;
    let url = node.zmq_url();
    node.stop().await;
    node.start_again_with(without_zmq()).await;
    let relay = RelayProcess::start(options().node(&node).set("BITCOIN_CORE__ZMQ_URL", &url)).await;
    degraded(&relay, &["bitcoin_core.zmq_url", &url, "cannot be reached"]).await;
    node.stop().await;
    node.start_again_with(Options::default()).await;
    well(&relay).await;
}

#[tokio::test]
async fn a_zmq_address_where_the_mempool_is_not_published() {
    // Of its own: it is restarted.
    let mut node = Bitcoind::start(Options::default()).await;
    let url = node.zmq_url();
    node.stop().await;
    let args = ["rawtx", "hashblock"].map(|topic| format!("-zmqpub{topic}={url}"));
    let in_part = Options {
        args: args.to_vec(),
        ..without_zmq()
    };
    node.start_again_with(in_part).await;
    let relay = RelayProcess::start(options().node(&node).set("BITCOIN_CORE__ZMQ_URL", &url)).await;
    let words = ["bitcoin_core.zmq_url", "not all changes", "zmqpubsequence="];
    degraded(&relay, &words).await;
    assert_eq!(health(&relay).await.1.event_source, "zmq without sequence");
    // The signal of a block changes nothing about that.
    node.mine(1).await;
    eventually(DEADLINE, "the block", async || {
        let (_, health) = health(&relay).await;
        (health.index?.height? == 1).then_some(())
    })
    .await;
    degraded(&relay, &words).await;
    node.stop().await;
    node.start_again_with(Options::default()).await;
    well(&relay).await;
}

#[tokio::test]
async fn a_zmq_address_without_the_changes_of_the_node() {
    // Of its own: no other test has a node without ZMQ.
    let node = Bitcoind::start(without_zmq()).await;
    let other = PooledNode::take(Options::default()).await;
    let url = other.zmq_url();
    let relay = RelayProcess::start(options().node(&node).set("BITCOIN_CORE__ZMQ_URL", &url)).await;
    // Silence is no problem before a change.
    eventually(DEADLINE, "a degraded relay", async || {
        node.mine(1).await;
        let (_, health) = health(&relay).await;
        let problem = health.problems.iter().find(|p| p.contains("bitcoin_core.zmq_url"))?;
        assert!(
            problem.contains(&url) && problem.contains("zmqpubsequence"),
            "{problem}"
        );
        (health.status == "degraded").then_some(())
    })
    .await;
    // A signal arrives.
    other.mine(1).await;
    well(&relay).await;
}

#[tokio::test]
async fn an_unreachable_configured_relay() {
    let node = PooledNode::take(Options::default()).await;
    let relay = || -> RelayOptions { options().node(&node).in_mesh().set("SYNC__INTERVAL", "1") };
    let mut peer = RelayProcess::start(relay().set("RELAY_ID", "peer")).await;
    let url = peer.ws_url();
    let own = relay().set("RELAY_ID", "own").set("MESH__PEERS", &url);
    let relay = RelayProcess::start(own).await;
    well(&relay).await;
    peer.kill9();
    degraded(&relay, &["mesh.peers", &url]).await;
    peer.start_again().await;
    well(&relay).await;
}
