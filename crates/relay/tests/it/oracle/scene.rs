//! A node, a relay that computes its own index, and relays that use it as their Oracle.

use std::time::Duration;

use bitcoin::Amount;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;
use testkit::{
    Bitcoind, InputKind, Options, Payee, Payer, PooledNode, RelayOptions, RelayProcess, eventually, http_get, http_send,
};

/// Longer than any step takes, even on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Scene {
    pub(crate) payer: Payer,
    /// Computes its own index, and answers as an Oracle.
    pub(crate) truth: RelayProcess,
    /// Height of the first block of silent payments.
    pub(crate) first: u32,
    pub(crate) node: PooledNode,
}

impl Scene {
    /// With some blocks of silent payments.
    pub(crate) async fn new() -> Scene {
        let node = PooledNode::take(Options::default()).await;
        let mut payer = Payer::funded(&node).await;
        let first = node.height().await + 1;
        for _ in 0..3 {
            pay(&node, &mut payer).await;
        }
        let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
            .node(&node)
            .fixed_ports()
            .fixed_grpc_port();
        let truth = RelayProcess::start(options).await;
        let scene = Scene {
            payer,
            truth,
            first,
            node,
        };
        scene.indexed(&scene.truth).await;
        scene
    }

    /// Mines a block of silent payments with inputs of every kind.
    pub(crate) async fn pay(&mut self) {
        pay(&self.node, &mut self.payer).await;
    }

    /// The address of the Oracle's gRPC interface.
    pub(crate) fn grpc_url(&self) -> String {
        self.truth.grpc_url().replace("http://", "grpc://")
    }

    pub(crate) fn options(&self, oracle: &str) -> RelayOptions {
        let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&self.node);
        options.set("BLINDBIT__URL", oracle)
    }

    /// Waits until a relay's index holds the node's tip.
    pub(crate) async fn indexed(&self, relay: &RelayProcess) {
        let (height, hash) = (self.node.height().await, self.node.tip().await.to_string());
        let url = format!("{}/blindbit/v1/block-hash/{height}", relay.http_url());
        eventually(DEADLINE, "the index at the node's tip", async || {
            let reply = http_get(&url).await;
            (reply.status == 200 && reply.json()["block_hash"] == hash.as_str()).then_some(())
        })
        .await;
    }

    /// Asserts that the index equals that of the relay without an Oracle.
    pub(crate) async fn assert_same(&self, relay: &RelayProcess) {
        let height = self.node.height().await;
        let mut eligible = 0;
        for height in (height - 10)..=height {
            for route in ["v2/full-block", "v2/compute-index", "v1/utxos", "v1/spent-index"] {
                let of = async |relay: &RelayProcess| {
                    http_get(&format!("{}/blindbit/{route}/{height}", relay.http_url()))
                        .await
                        .json()
                };
                let (ours, theirs) = (of(relay).await, of(&self.truth).await);
                assert_eq!(ours, theirs, "{route}/{height}");
                if route == "v2/full-block" {
                    eligible += ours["index"].as_array().unwrap().len();
                }
            }
        }
        assert!(eligible >= 12, "{eligible} eligible transactions");
    }
}

async fn pay(node: &Bitcoind, payer: &mut Payer) {
    let payee = Payee::new(&[]);
    let to = [(payee.address(), Amount::from_sat(20_000))];
    let txs = InputKind::ALL.map(|kind| payer.pay(&[kind], &to));
    node.mine_with(&txs).await;
}

pub(crate) async fn health(relay: &RelayProcess) -> Value {
    http_get(&format!("{}/health", relay.http_url())).await.json()
}

/// Waits until `services.blindbit` has this value; returns the complete answer.
pub(crate) async fn until_oracle_is(relay: &RelayProcess, word: &str) -> Value {
    eventually(DEADLINE, format!("an Oracle that is {word}"), async || {
        let health = health(relay).await;
        (health["services"]["blindbit"] == word).then_some(health)
    })
    .await
}

/// Waits for a healthy relay with a connected Oracle: other problems can last longer on a busy machine.
pub(crate) async fn until_well(relay: &RelayProcess) {
    eventually(DEADLINE, "a healthy relay with a connected Oracle", async || {
        let health = health(relay).await;
        (health["services"]["blindbit"] == "connected" && health["status"] == "healthy").then_some(())
    })
    .await;
}

/// A figure of the text format of `/metrics`.
pub(crate) async fn metric(relay: &RelayProcess, name: &str) -> u64 {
    let request = Request::get(format!("{}/metrics", relay.http_url())).header("accept", "text/plain");
    let reply = http_send(request.body(Full::<Bytes>::default()).unwrap()).await;
    let line = reply
        .text()
        .lines()
        .find_map(|l| l.strip_prefix(&format!("{name} ")).map(str::to_owned));
    let value = line.unwrap_or_else(|| panic!("{name} is not in {}", reply.text()));
    value.parse().unwrap()
}
