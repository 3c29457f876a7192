//! The node is unavailable: endpoints that need it report it, the others work.

use serde_json::{Value, json};
use testkit::{RelayOptions, RelayProcess, http_get, http_post};

use crate::wire::{Wire, get};

/// A relay with an unreachable node: nothing listens on port 1.
async fn alone() -> RelayProcess {
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .set("BITCOIN_CORE__URL", "http://127.0.0.1:1")
        .set("BITCOIN_CORE__USER", "somebody")
        .set("BITCOIN_CORE__PASSWORD", "p4ssw0rd-of-the-node")
        .set("DEV_MODE", "true");
    RelayProcess::start_listening(options).await
}

#[tokio::test]
async fn endpoints_that_need_the_node_are_503_and_name_it() {
    let relay = alone().await;
    let url = relay.http_url();
    let block = format!("{url}/bitcoin/blocks/{}", "ab".repeat(32));
    let replies = [
        http_get(&format!("{url}/bitcoin/info")).await,
        http_get(&block).await,
        http_get(&format!("{url}/fees")).await,
        http_get(&format!("{url}/tx/{}", "ab".repeat(32))).await,
        http_get(&format!("{url}/bitcoin/first-block?since=5")).await,
        http_post(&format!("{url}/dev/mine"), &json!({})).await,
    ];
    for reply in replies {
        assert_eq!(reply.status, 503, "{}", reply.text());
        assert_eq!(reply.headers["content-type"], "application/problem+json");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            detail.contains("bitcoin_core") && detail.contains("127.0.0.1:1"),
            "{detail}"
        );
        assert!(!detail.contains("p4ssw0rd"), "{detail}");
    }
}

#[tokio::test]
async fn health_is_critical_with_the_reason() {
    let relay = alone().await;
    let url = relay.http_url();
    let health = http_get(&format!("{url}/health")).await;
    assert_eq!(
        (health.status.as_u16(), &health.json()["status"]),
        (503, &json!("critical"))
    );
    assert_eq!(health.json()["services"]["bitcoin_core"], "disconnected");
    assert_eq!(health.json()["checks"]["bitcoin_rpc"], false);
    assert!(
        !health.json()["problems"].as_array().unwrap().is_empty(),
        "{}",
        health.text()
    );
    let ready = http_get(&format!("{url}/health/ready")).await;
    assert_eq!(
        (ready.status.as_u16(), &ready.json()["status"]),
        (503, &json!("not_ready"))
    );
    assert!(ready.json()["reason"].is_string(), "{}", ready.text());
    assert_eq!(http_get(&format!("{url}/health/live")).await.status, 200);
}

#[tokio::test]
async fn unknown_values_are_null() {
    let relay = alone().await;
    let metrics = get(&relay, "/metrics").await;
    for field in ["block_height", "connections", "mempool_size", "verification_progress"] {
        assert_eq!(metrics["bitcoin_metrics"].get(field), Some(&Value::Null), "{field}");
    }
    let mut wire = Wire::connect(&relay.ws_url(), &["sync"]).await;
    let message = json!({"type": "sync", "sync_type": "StateSync", "message_id": "s"});
    let answer = wire.request(message).await;
    assert_eq!(answer["payload"]["state"]["status"], "critical", "{answer}");
    assert_eq!(
        answer["payload"]["state"].get("last_block"),
        Some(&Value::Null),
        "{answer}"
    );
}
