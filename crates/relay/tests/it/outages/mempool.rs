//! A node that has started but still loads its mempool.

use std::fs::OpenOptions;
use std::process::Command;

use sdk_relay_client::Event;
use testkit::{InputKind, Options, RelayProcess, eventually};

use crate::outages::{unwell, well};
use crate::story::listener::Listener;
use crate::story::scene::{DEADLINE, Scene};

/// Bitcoin Core answers RPC before it has loaded `mempool.dat`, which takes minutes on mainnet. A transaction that is
/// not loaded yet is not removed.
#[tokio::test]
async fn payments_are_not_reverted_while_the_mempool_loads() {
    let mut scene = Scene::new(Options::default()).await;
    let relay = RelayProcess::start(scene.relay()).await;
    scene.meet(&relay).await;
    let listener = Listener::start(relay.ws_url());
    scene.pay(&[InputKind::P2wpkh], &[1_000]).await;
    scene.pay(&[InputKind::P2tr], &[2_000, 3_000]).await;
    scene.agrees(&listener).await;
    let received = listener.received().len();

    scene.node.stop().await;
    unwell(&relay, "degraded", "does not answer").await;
    // The node imports block files before it loads its mempool. A file that never ends keeps it in this state.
    let pipe = scene.node.datadir().join("blocks.pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let loading = Options {
        args: vec![format!("-loadblock={}", pipe.display())],
        ..Options::default()
    };
    scene.node.start_again_with(loading).await;
    assert!(scene.node.mempool().await.is_empty(), "the node has not begun");
    unwell(&relay, "degraded", "mempool").await;
    // Blocks are reported meanwhile.
    scene.node.mine_with(&[]).await;
    eventually(DEADLINE, "a block and its tweaks", async || {
        (listener.received().len() == received + 2).then_some(())
    })
    .await;

    drop(OpenOptions::new().write(true).open(&pipe).unwrap());
    scene.mempool_loaded().await;
    well(&relay).await;
    scene.agrees(&listener).await;
    assert_eq!(listener.received().len(), received + 2, "nothing is sent again");
    scene.node.mine(1).await;
    scene.agrees(&listener).await;
    let reverted = |event: &Event| matches!(event, Event::PaymentReverted(_));
    assert!(!listener.received().iter().any(|n| reverted(&n.event)));
}
