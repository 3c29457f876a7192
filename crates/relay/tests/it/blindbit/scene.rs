//! A node, a payer, and a relay whose index holds the node's tip.

use std::time::Duration;

use serde_json::Value;
use testkit::{HttpReply, Options, Payer, PooledNode, RelayOptions, RelayProcess, eventually, http_get};

/// Longer than the index needs for several hundred small blocks, even on a busy machine.
pub(crate) const INDEXED: Duration = Duration::from_secs(60);

pub(crate) struct Scene {
    pub(crate) payer: Payer,
    pub(crate) relay: RelayProcess,
    pub(crate) node: PooledNode,
}

impl Scene {
    pub(crate) async fn new() -> Scene {
        Scene::with(|options| options).await
    }

    /// With a gRPC port.
    pub(crate) async fn with_grpc() -> Scene {
        Scene::with(|options| options.set("BLINDBIT__GRPC_LISTEN", "127.0.0.1:0")).await
    }

    async fn with(options: impl FnOnce(RelayOptions) -> RelayOptions) -> Scene {
        let node = PooledNode::take(Options::default()).await;
        let payer = Payer::funded(&node).await;
        let of_node = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node);
        let relay = RelayProcess::start(options(of_node)).await;
        let scene = Scene { node, payer, relay };
        scene.indexed().await;
        scene
    }

    /// Base URL of version 1.
    pub(crate) fn v1(&self) -> String {
        format!("{}/blindbit/v1", self.relay.http_url())
    }

    /// Base URL of version 2.
    pub(crate) fn v2(&self) -> String {
        format!("{}/blindbit/v2", self.relay.http_url())
    }

    /// Waits until the index has reached the tip of the node.
    pub(crate) async fn indexed(&self) {
        let (height, hash) = (self.node.height().await, self.node.tip().await.to_string());
        let url = format!("{}/block-hash/{height}", self.v1());
        eventually(INDEXED, "the index at the node's tip", async || {
            let reply = http_get(&url).await;
            (reply.status == 200 && reply.json()["block_hash"] == hash.as_str()).then_some(())
        })
        .await;
    }

    /// Mines a block with the mempool, and waits until it is indexed. Returns its height.
    pub(crate) async fn mine(&self) -> u32 {
        self.node.mine(1).await;
        self.indexed().await;
        self.node.height().await
    }
}

/// The JSON at an address that answers 200.
pub(crate) async fn json(url: &str) -> Value {
    ok(url).await.json()
}

pub(crate) async fn ok(url: &str) -> HttpReply {
    let reply = http_get(url).await;
    assert_eq!(reply.status, 200, "{url}: {}", reply.text());
    reply
}

/// An array of strings.
pub(crate) fn strings(list: &Value) -> Vec<String> {
    serde_json::from_value(list.clone()).unwrap()
}
