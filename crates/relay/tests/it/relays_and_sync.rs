//! `/relays`, `/sync/status`, `/sync/force` and `/sync/history`, from outside the process.

use std::time::Duration;

use sdk_relay_client::{Client, SyncType};
use serde_json::{Value, json};
use testkit::{HttpReply, RelayOptions, RelayProcess, eventually, http_get, http_post};

const DEADLINE: Duration = Duration::from_secs(30);

async fn standalone() -> RelayProcess {
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).arg("--standalone");
    RelayProcess::start(options.set("RELAY_ID", "relay-1")).await
}

async fn get(relay: &RelayProcess, path: &str) -> Value {
    let reply = http_get(&format!("{}{path}", relay.http_url())).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

async fn refused(relay: &RelayProcess, path: &str) -> (u16, Value) {
    problem(&http_get(&format!("{}{path}", relay.http_url())).await)
}

/// Status, and the name of the first wrong field.
fn problem(reply: &HttpReply) -> (u16, Value) {
    assert_eq!(reply.headers["content-type"], "application/problem+json");
    (reply.status.as_u16(), reply.json()["errors"][0]["field"].clone())
}

async fn force(relay: &RelayProcess, body: &Value) -> HttpReply {
    http_post(&format!("{}/sync/force", relay.http_url()), body).await
}

/// Names of the relays in a list.
fn names(list: &Value) -> Vec<&str> {
    let relays = list["relays"].as_array().unwrap();
    relays.iter().map(|r| r["relay_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_single_relay_lists_itself() {
    let relay = standalone().await;
    let list = get(&relay, "/relays").await;
    assert_eq!(names(&list), ["relay-1"]);
    let counts = ["total", "healthy", "warning", "critical"].map(|key| list[key].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 0, 0]);
    let own = &list["relays"][0];
    // It listens on a loopback address, which others cannot use.
    assert_eq!(
        (own.get("address"), own.get("url")),
        (Some(&Value::Null), Some(&Value::Null))
    );
    assert_eq!(
        (&own["version"], &own["health"], &own["link"]),
        (&json!("1.0.0"), &json!("healthy"), &json!("own"))
    );
    assert_eq!(
        own["metrics"],
        json!({"sync_requests": 0, "sync_responses": 0, "avg_latency": null})
    );

    let details = get(&relay, "/relays/relay-1").await;
    assert_eq!(details["configuration"]["network"], "regtest");
    let yes = json!({"bitcoin_connected": true, "blindbit_connected": true, "websocket_listening": true, "sync_active": true});
    assert_eq!(details["status"], yes);
    assert_eq!(details["metrics"]["success_rate"], Value::Null);

    let none = get(&relay, "/relays?status=warning&limit=1000").await;
    assert_eq!(
        (names(&none).len(), &none["total"], &none["healthy"]),
        (0, &json!(0), &json!(0))
    );
    for (query, expected) in [
        ("limit=0", (422, json!("limit"))),
        ("limit=1001", (422, json!("limit"))),
        ("status=degraded", (422, json!("status"))),
        ("limit=many", (400, Value::Null)),
        ("limit=-1", (400, Value::Null)),
        ("limit=1&limit=2", (400, Value::Null)),
    ] {
        assert_eq!(refused(&relay, &format!("/relays?{query}")).await, expected, "{query}");
    }
    assert_eq!(refused(&relay, "/relays/relay-9").await.0, 404);
}

#[tokio::test]
async fn an_unauthenticated_relay_is_not_listed() {
    let relay = standalone().await;
    let mut all = Vec::new();
    for n in 0..30 {
        let name = format!("relay-{n}x");
        let builder = Client::builder(&relay.ws_url()).relay(&name, Some("relay.example:8090".to_owned()));
        let (other, _events) = builder.capabilities(["sync"]).connect().await.unwrap();
        let state = json!({"state": {"uptime": 1800, "network": "regtest", "status": "critical", "last_block": 12345}});
        other
            .exchange(SyncType::StateSync, state.as_object().cloned())
            .await
            .unwrap();
        all.push(other);
    }
    let list = get(&relay, "/relays").await;
    assert_eq!((names(&list), &list["total"]), (vec!["relay-1"], &json!(1)));
    assert_eq!(refused(&relay, "/relays/relay-0x").await.0, 404);
    let metrics = get(&relay, "/metrics").await;
    assert_eq!(
        (
            &metrics["sync_metrics"]["known_relays"],
            &metrics["sync_metrics"]["mesh_connections"]
        ),
        (&json!(1), &json!(0))
    );
    for other in all {
        other.close().await;
    }
}

#[tokio::test]
async fn a_client_cannot_forge_or_flood_the_sync_history() {
    let relay = standalone().await;
    let (app, _events) = Client::builder(&relay.ws_url())
        .client_id("trusted-relay")
        .capabilities(["sync"])
        .connect()
        .await
        .unwrap();
    for _ in 0..200 {
        app.sync(SyncType::HealthSync).await.unwrap();
    }
    let named = get(&relay, "/sync/history?target_relay=trusted-relay").await;
    assert_eq!(named["total"], 0);
    let history = get(&relay, "/sync/history?limit=1000").await;
    let entries = history["history"].as_array().unwrap();
    assert!((100..110).contains(&entries.len()), "{}", entries.len());
    assert!(
        entries
            .iter()
            .all(|entry| entry["target_relay"].as_str().unwrap().starts_with("conn-"))
    );
    app.close().await;
}

#[tokio::test]
async fn the_sync_history_is_persistent() {
    let mut relay = standalone().await;
    let empty = get(&relay, "/sync/history").await;
    assert_eq!((&empty["history"], &empty["total"]), (&json!([]), &json!(0)));
    assert_eq!(
        empty["filters"],
        json!({"limit": 100, "since": null, "sync_type": null, "target_relay": null, "status": null})
    );

    let (app, _events) = Client::builder(&relay.ws_url())
        .client_id("app-1")
        .capabilities(["sync"])
        .connect()
        .await
        .unwrap();
    let (other, _events) = Client::builder(&relay.ws_url())
        .relay("relay-2", None)
        .capabilities(["sync"])
        .connect()
        .await
        .unwrap();
    app.sync(SyncType::HealthSync).await.unwrap();
    // Entries of different connections are ordered by their creation.
    eventually(DEADLINE, "the app's entry", async || {
        (get(&relay, "/sync/history").await["total"] == 1).then_some(())
    })
    .await;
    other.sync(SyncType::StateSync).await.unwrap();
    let last = other.sync(SyncType::MetricsSync).await.unwrap();
    // An entry is created after its answer is sent, which the client may receive first.
    let history = eventually(DEADLINE, "three entries", async || {
        Some(get(&relay, "/sync/history").await).filter(|h| h["total"] == 3)
    })
    .await;
    assert_eq!((&history["successful"], &history["failed"]), (&json!(3), &json!(0)));
    let field = |history: &Value, name: &str| -> Vec<Value> {
        history["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry[name].clone())
            .collect()
    };
    assert_eq!(field(&history, "sync_type"), ["MetricsSync", "StateSync", "HealthSync"]);
    // Neither has proven its identity.
    let connection = |client: &Client| client.relay().connection_id.clone().unwrap();
    let (of_app, of_other) = (connection(&app), connection(&other));
    assert_eq!(field(&history, "target_relay"), [of_other.as_str(), &of_other, &of_app]);
    let newest = &history["history"][0];
    assert_eq!(newest["message_id"], last.in_reply_to.as_str());
    assert_eq!(
        (&newest["status"], &newest["direction"], &newest["error"]),
        (&json!("success"), &json!("inbound"), &Value::Null)
    );
    assert!(newest["payload_size"].as_u64().unwrap() > 200 && newest["latency"].as_f64().unwrap() >= 0.0);
    assert!(newest["duration"].is_u64());

    let status = get(&relay, "/sync/status").await;
    assert_eq!(
        (&status["status"], &status["active_syncs"]),
        (&json!("idle"), &json!([]))
    );
    assert_eq!(status["last_sync"], newest["timestamp"]);
    assert!(status["next_sync"].as_u64() >= status["timestamp"].as_u64(), "{status}");
    let statistics = &status["statistics"];
    assert_eq!(
        (
            &statistics["total_syncs"],
            &statistics["success_rate"],
            &status["errors"]
        ),
        (&json!(3), &json!(100.0), &json!([]))
    );

    assert!(relay.terminate().await.success());
    relay.start_again().await;
    let second = get(&relay, "/sync/history").await;
    assert_eq!(second["history"], history["history"]);
    let total = async |query: &str| {
        get(&relay, &format!("/sync/history?{query}")).await["total"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(total(&format!("target_relay={of_other}")).await, 2);
    assert_eq!(total(&format!("target_relay={of_other}&sync_type=StateSync")).await, 1);
    assert_eq!(total("status=failed").await, 0);
    assert_eq!(
        total(&format!("since={}", newest["timestamp"].as_u64().unwrap() + 1)).await,
        0
    );
    let page = get(
        &relay,
        "/sync/history?limit=1&since=1703000000&sync_type=StateSync&status=success",
    )
    .await;
    assert_eq!(
        (field(&page, "sync_type"), &page["total"]),
        (vec![json!("StateSync")], &json!(1))
    );
    assert_eq!(
        page["filters"],
        json!({"limit": 1, "since": 1703000000, "sync_type": "StateSync", "target_relay": null, "status": "success"})
    );
    for (query, expected) in [
        ("limit=0", (422, json!("limit"))),
        ("sync_type=WeatherSync", (422, json!("sync_type"))),
        ("status=lost", (422, json!("status"))),
        ("since=yesterday", (400, Value::Null)),
    ] {
        assert_eq!(
            refused(&relay, &format!("/sync/history?{query}")).await,
            expected,
            "{query}"
        );
    }
    let after = get(&relay, "/sync/status").await;
    assert_eq!(
        after["last_sync"], newest["timestamp"],
        "the history is older than this process"
    );
    assert_eq!(
        (
            &after["statistics"]["total_syncs"],
            &after["statistics"]["avg_duration"]
        ),
        (&json!(0), &Value::Null)
    );
}

#[tokio::test]
async fn a_forced_sync_without_links_completes_immediately() {
    let relay = standalone().await;
    let reply = force(&relay, &json!({"sync_types": ["StateSync", "HealthSync"]})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let forced = reply.json();
    assert_eq!(
        (&forced["status"], &forced["target_relays"]),
        (&json!("sync_triggered"), &json!([]))
    );
    assert_eq!(forced["sync_types"], json!(["StateSync", "HealthSync"]));
    let followed = get(&relay, &format!("/sync/force/{}", forced["sync_id"].as_str().unwrap())).await;
    assert_eq!(
        (&followed["status"], &followed["results"]),
        (&json!("completed"), &json!([]))
    );
    assert_eq!(followed["sync_id"], forced["sync_id"]);

    let all = force(&relay, &json!({})).await.json();
    assert_eq!(all["sync_types"], json!(["StateSync", "HealthSync", "MetricsSync"]));
    assert_ne!(all["sync_id"], forced["sync_id"]);
    for (body, field) in [
        (json!({"sync_types": []}), "sync_types"),
        (json!({"sync_types": ["StateSync", "WeatherSync"]}), "sync_types"),
        (json!({"target_relays": ["relay-9"]}), "target_relays"),
        (json!({"target_relays": []}), "target_relays"),
        (json!({"target_relays": ["relay-1"]}), "target_relays"),
    ] {
        assert_eq!(problem(&force(&relay, &body).await), (422, json!(field)), "{body}");
    }
    assert_eq!(refused(&relay, "/sync/force/sync-0").await.0, 404);
    let (other, _events) = Client::builder(&relay.ws_url())
        .relay("relay-2", None)
        .connect()
        .await
        .unwrap();
    let reply = force(&relay, &json!({"target_relays": ["relay-2"]})).await;
    assert!(
        reply.status == 422 && reply.text().contains("no link"),
        "{}",
        reply.text()
    );
    other.close().await;
}
