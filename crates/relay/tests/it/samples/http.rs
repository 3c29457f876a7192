//! The endpoints of the HTTP API, with the requests of the reference.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use testkit::{HttpReply, eventually, http_get, http_send};

use crate::samples::scene::Scene;
use crate::wire::DEADLINE;

/// Fields that are unknown on a relay without links.
const ALONE: [&str; 6] = [
    "sync_metrics.avg_latency",
    "sync_metrics.success_rate",
    "relays.metrics.avg_latency",
    "metrics.avg_latency",
    "metrics.success_rate",
    "history.latency",
];

pub(crate) async fn hold(scene: &mut Scene<'_>) {
    figures_are_there(scene).await;
    let tip = scene.node.tip().await;
    scene.node.mine(1).await;
    // The sample's block has a successor.
    let block = format!("/bitcoin/blocks/{tip}");
    for (name, path, empty) in [
        ("GET /health", "/health", &[][..]),
        ("GET /metrics", "/metrics", &[]),
        ("GET /config", "/config", &[]),
        ("GET /relays", "/relays?status=healthy&limit=10", &[]),
        ("GET /relays/relay-1", "/relays/relay-1", &[]),
        // A sync takes only moments, and none has failed.
        ("GET /sync/status", "/sync/status", &["active_syncs"]),
        (
            "GET /sync/history",
            "/sync/history?limit=10&since=1703000000&sync_type=StateSync",
            &[],
        ),
        ("GET /bitcoin/info", "/bitcoin/info", &[]),
        (
            "GET /bitcoin/blocks/abc123def456789abcdef456789abcdef456789abc",
            &block,
            &[],
        ),
        ("GET /logs", "/logs?level=info&limit=50&search=", &[]),
    ] {
        let reply = http_get(&format!("{}{path}", scene.relay.http_url())).await;
        hold_answer(scene, name, &reply, empty);
    }

    let mut force = scene.request("POST /sync/force body");
    let reply = send(scene, "POST", "/sync/force", Some(&force)).await;
    assert_eq!(reply.status, 422, "unknown relays: {}", reply.text());
    force["target_relays"] = Value::Null;
    force.as_object_mut().unwrap().remove("target_relays");
    let reply = send(scene, "POST", "/sync/force", Some(&force)).await;
    // All relays: there is none.
    hold_answer(scene, "POST /sync/force", &reply, &["target_relays"]);

    let change = scene.request("PUT /config body");
    let reply = send(scene, "PUT", "/config", Some(&change)).await;
    hold_answer(scene, "PUT /config", &reply, &[]);
    let changes = json!([
        "sync.interval: 30 -> 60",
        "sync.health_interval: 60 -> 120",
        "dev_mode: true -> false"
    ]);
    assert_eq!(reply.json()["changes"], changes, "word for word");
    let reply = send(scene, "POST", "/restart", None).await;
    hold_answer(scene, "POST /restart", &reply, &[]);
}

fn hold_answer(scene: &mut Scene<'_>, name: &str, reply: &HttpReply, empty: &[&str]) {
    assert_eq!(reply.status, 200, "{name}: {}", reply.text());
    scene.hold(&format!("{name} answer"), reply.text(), &ALONE, empty);
}

/// The figures of the node, the CPU and the disk appear after the first measurement.
async fn figures_are_there(scene: &Scene<'_>) {
    eventually(
        DEADLINE,
        "every figure of /metrics, and an entry of the history",
        async || {
            let metrics = http_get(&format!("{}/metrics", scene.relay.http_url())).await.json();
            let history = http_get(&format!("{}/sync/history?sync_type=StateSync", scene.relay.http_url())).await;
            let unknown = |part: &str| metrics[part].as_object().unwrap().values().any(Value::is_null);
            (!unknown("bitcoin_metrics") && !unknown("system_metrics") && history.json()["total"] != 0).then_some(())
        },
    )
    .await;
}

async fn send(scene: &Scene<'_>, method: &str, path: &str, body: Option<&Value>) -> HttpReply {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", scene.relay.http_url()));
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let body: Full<Bytes> = body.map(|body| Full::from(body.to_string())).unwrap_or_default();
    http_send(request.body(body).unwrap()).await
}
