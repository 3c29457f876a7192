//! A low limit of open files: clients are refused, and the relay keeps its own descriptors.

use std::os::unix::fs::PermissionsExt;

use testkit::{Bitcoind, Options, RelayOptions, RelayProcess, eventually, http_get};
use tokio::net::TcpStream;

use crate::outages::well;
use crate::story::scene::DEADLINE;

/// Limit of open files.
const LIMIT: u32 = 64;
/// Idle connections on each port: far more than there are descriptors.
const IDLE: usize = 150;

#[tokio::test]
async fn idle_clients_do_not_exhaust_the_descriptors_for_the_node() {
    // Of its own: it is restarted.
    let mut node = Bitcoind::start(Options::default()).await;
    let dir = tempfile::tempdir().unwrap();
    let limited = dir.path().join("limited");
    let script = format!(
        "#!/bin/sh\nulimit -n {LIMIT}\nexec '{}' \"$@\"\n",
        env!("CARGO_BIN_EXE_sdk_relay")
    );
    std::fs::write(&limited, script).unwrap();
    std::fs::set_permissions(&limited, PermissionsExt::from_mode(0o755)).unwrap();
    let relay = RelayProcess::start(RelayOptions::new(&limited).node(&node)).await;
    assert!(relay.stderr().contains("may open too few files"), "{}", relay.stderr());

    let mut idle = Vec::new();
    for _ in 0..IDLE {
        for url in [relay.ws_url(), relay.http_url()] {
            let address = url.split_once("://").unwrap().1.to_owned();
            idle.push(TcpStream::connect(address).await.unwrap());
        }
    }
    // All connections to the node are reopened, for calls and signals.
    node.stop().await;
    node.start_again().await;
    well(&relay).await;
    node.mine(1).await;
    let tip = node.rpc().call("getblockcount", serde_json::json!([])).await.unwrap();
    eventually(DEADLINE, "the relay at the node's tip", async || {
        let metrics = http_get(&format!("{}/metrics", relay.http_url())).await.json();
        (metrics["relay_metrics"]["tip_height"] == tip).then_some(())
    })
    .await;
    let log = relay.stderr();
    assert!(!log.to_lowercase().contains("too many open files"), "{log}");
}
