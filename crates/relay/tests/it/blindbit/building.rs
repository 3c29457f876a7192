//! While the index is being built: existing blocks are answered, and missing ones give the progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use testkit::{Bitcoind, Options, RelayOptions, RelayProcess, eventually, http_get, http_send};
use tokio::net::TcpListener;

use crate::blindbit::scene::INDEXED;

/// A node with 20 blocks, of its own, because the progress depends on its height; the URL of a proxy of it with a gate;
/// and whether the gate is open. While it is closed, no block passes.
pub(crate) async fn behind_a_gate() -> (Bitcoind, String, Arc<AtomicBool>) {
    // Without REST and ZMQ, everything goes through the proxy.
    let node = Bitcoind::start(Options {
        rest: false,
        zmq: false,
        ..Options::default()
    })
    .await;
    node.mine(20).await;
    let (url, open) = gate(&node).await;
    (node, url, open)
}

async fn gate(node: &Bitcoind) -> (String, Arc<AtomicBool>) {
    let open = Arc::new(AtomicBool::new(true));
    let (node, gate) = (node.rpc_url(), Arc::clone(&open));
    let serve = move |request: Request| {
        let (node, open) = (node.clone(), gate.load(Ordering::Acquire));
        async move { through(&node, open, request).await }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(serve)).await });
    (url, open)
}

async fn through(node: &str, open: bool, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let asks_for_block = String::from_utf8_lossy(&body).contains("\"getblock\"");
    if !open && asks_for_block {
        return hyper::StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    head.uri = format!("{node}{}", head.uri).parse().unwrap();
    let reply = http_send(Request::from_parts(head, Full::new(body))).await;
    (reply.status, reply.body).into_response()
}

pub(crate) async fn index(relay: &RelayProcess) -> Value {
    http_get(&format!("{}/health", relay.http_url())).await.json()["index"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unbuilt_blocks_are_503_with_the_progress() {
    let (node, url, open) = behind_a_gate().await;
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node);
    let relay = RelayProcess::start(options.set("BITCOIN_CORE__URL", url)).await;
    let at = async |height: u32| {
        eventually(INDEXED, format!("the index at {height}"), async || {
            (index(&relay).await["height"] == height).then_some(())
        })
        .await;
    };
    at(20).await;
    open.store(false, Ordering::Release);
    node.mine(10).await;
    eventually(INDEXED, "a look at the node's tip", async || {
        (index(&relay).await["target"] == 30).then_some(())
    })
    .await;
    // The routes take the target from the builder, which receives the tip after `/health` shows it.
    eventually(INDEXED, "the routes to know the tip", async || {
        let url = format!("{}/blindbit/v1/tweak-index/25", relay.http_url());
        (http_get(&url).await.status == 503).then_some(())
    })
    .await;
    for route in ["v1/tweak-index", "v1/block-hash", "v1/filter/spent", "v2/full-block"] {
        let of = async |height: u32| http_get(&format!("{}/blindbit/{route}/{height}", relay.http_url())).await;
        assert_eq!(of(20).await.status, 200, "{route}");
        let missing = of(25).await;
        assert_eq!(missing.status, 503, "{route}");
        let why = missing.json()["error"].as_str().unwrap().to_owned();
        assert!(why.contains("blocks 0 to 20, of 30"), "{why}");
        assert_eq!(of(31).await.status, 404, "{route}");
    }
    let info = http_get(&format!("{}/blindbit/v1/info", relay.http_url())).await.json();
    assert_eq!(info["height"], json!(20));

    open.store(true, Ordering::Release);
    at(30).await;
    let there = http_get(&format!("{}/blindbit/v1/tweak-index/25", relay.http_url())).await;
    assert_eq!(there.status, 200);
}
