//! `sync` requests.

use serde_json::{Value, json};
use testkit::RelayProcess;

use crate::wire::reference::Reference;
use crate::wire::{DEADLINE, Wire, get, mine, start};

fn request(sync_type: &str, message_id: &str) -> Value {
    json!({"type": "sync", "sync_type": sync_type, "message_id": message_id})
}

async fn cache(relay: &RelayProcess) -> (u64, u64) {
    let metrics = get(relay, "/metrics").await;
    let of = |name: &str| metrics["sync_metrics"][name].as_u64().expect("a number");
    (of("cache_hits"), of("cache_misses"))
}

#[tokio::test]
async fn the_three_types_are_answered_with_this_relays_own() {
    let relay = start().await;
    mine(&relay, 2).await;
    let tip = get(&relay, "/bitcoin/info").await["blockchain_info"]["blocks"].clone();
    testkit::eventually(DEADLINE, "the blocks in the log", async || {
        (get(&relay, "/metrics").await["relay_metrics"]["tip_height"] == tip).then_some(())
    })
    .await;
    let mut wire = Wire::connect(&relay.ws_url(), &["sync"]).await;
    let mut names = std::collections::HashSet::new();
    for (sync_type, key) in [
        ("StateSync", "state"),
        ("HealthSync", "health"),
        ("MetricsSync", "metrics"),
    ] {
        let answer = wire.request(request(sync_type, &format!("ask-{key}"))).await;
        assert_eq!(answer["type"], "sync_response", "{answer}");
        assert_eq!(answer["sync_type"], sync_type);
        assert_eq!(answer["in_reply_to"], format!("ask-{key}"));
        assert!(answer["payload"][key].is_object(), "{answer}");
        assert!(
            names.insert(answer["message_id"].as_str().unwrap().to_owned()),
            "a name of its own: {answer}"
        );
    }
    let state = &wire.request(request("StateSync", "again")).await["payload"]["state"];
    for (field, value) in [
        ("last_block", tip),
        ("network", json!("regtest")),
        ("status", json!("healthy")),
        ("version", json!("1.0.0")),
        ("connections", json!(1)),
        ("known_relays", json!(1)),
        ("mesh_connections", json!(0)),
    ] {
        assert_eq!(state[field], value, "{field} in {state}");
    }
    let health = &wire.request(request("HealthSync", "h")).await["payload"]["health"];
    assert_eq!(
        (&health["error_count"], &health["last_error"]),
        (&json!(0), &Value::Null),
        "{health}"
    );
    let metrics = &wire.request(request("MetricsSync", "m")).await["payload"]["metrics"];
    assert_eq!(metrics["sync_requests"], 6, "{metrics}");
    assert_eq!(metrics["sync_responses"], 5, "this one is in progress: {metrics}");
}

#[tokio::test]
async fn the_reference_samples_are_answered_in_their_shape() {
    let Some(reference) = Reference::open() else {
        return;
    };
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &["sync"]).await;
    for kind in ["StateSync", "HealthSync", "MetricsSync"] {
        // Twice: before the first sync, some figures of the metrics are not known.
        for name in ["first", "second"] {
            let mut sample: Value = serde_json::from_str(reference.message(&format!("Message {kind}"))).unwrap();
            sample["message_id"] = json!(format!("{kind} {name}"));
            wire.send(sample).await;
            let answer = wire.answer_text().await;
            let expected = reference.message(&format!("Réponse {kind}"));
            reference.check(kind, expected, &answer, &["payload.health.network_latency"]);
        }
    }
}

#[tokio::test]
async fn without_the_capability_it_is_not_authorized() {
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &["notifications", "health"]).await;
    // The topic of the same name, subscribed later, does not grant the capability.
    wire.request(json!({"type": "subscribe", "subscriptions": ["sync"]}))
        .await;
    let error = wire.request(request("StateSync", "s-1")).await;
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("error"), &json!("not_authorized"))
    );
    assert_eq!(error["in_reply_to"], "s-1");
    wire.assert_open().await;
}

#[tokio::test]
async fn the_same_message_on_the_same_connection_is_answered_from_the_cache_and_on_no_other() {
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &["sync"]).await;
    let mut other = Wire::connect(&relay.ws_url(), &["sync"]).await;
    let of = |relay_id: &str, message_id: &str| {
        json!({"type": "sync", "sync_type": "StateSync", "relay_id": relay_id, "message_id": message_id}).to_string()
    };
    async fn ask(wire: &mut Wire, text: &str) -> String {
        wire.send_text(text).await;
        wire.answer_text().await
    }
    let before = cache(&relay).await;
    let first = ask(&mut wire, &of("relay-2", "msg-1")).await;
    assert_eq!(ask(&mut wire, &of("relay-2", "msg-1")).await, first);
    // The sender in the message is ignored.
    assert_eq!(ask(&mut wire, &of("relay-3", "msg-1")).await, first);
    assert_eq!(cache(&relay).await, (before.0 + 2, before.1 + 1));
    assert_ne!(
        ask(&mut other, &of("relay-2", "msg-1")).await,
        first,
        "another connection"
    );
    assert_ne!(ask(&mut wire, &of("relay-2", "msg-2")).await, first, "another message");
    assert_eq!(cache(&relay).await, (before.0 + 2, before.1 + 3));
    // The ids of answers are unpredictable.
    let names: Vec<Value> = [&first, &ask(&mut wire, &of("relay-2", "msg-3")).await]
        .map(|text| serde_json::from_str::<Value>(text).unwrap()["message_id"].clone())
        .to_vec();
    let random = names
        .iter()
        .map(|name| name.as_str().unwrap().strip_prefix("msg-").unwrap());
    let random: std::collections::HashSet<&str> = random.map(|random| &random[..16]).collect();
    assert_eq!(random.len(), 2, "{names:?}");
}

#[tokio::test]
async fn an_invalid_sync_is_refused() {
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &["sync"]).await;
    for (change, answers) in [
        (json!({"sync_type": "WeatherSync"}), json!("m")),
        (json!({"sync_type": "statesync"}), json!("m")),
        (json!({"sync_type": null}), json!("m")),
        (json!({"relay_id": ""}), json!("m")),
        (json!({"relay_id": "x".repeat(65)}), json!("m")),
        (json!({"relay_id": 5}), json!("m")),
        (json!({"payload": []}), json!("m")),
        (json!({"timestamp": -1}), json!("m")),
    ] {
        let mut message = request("StateSync", "m");
        for (name, value) in change.as_object().unwrap() {
            message[name] = value.clone();
        }
        let error = wire.request(message).await;
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("error"), &json!("invalid_field")),
            "{change}: {error}"
        );
        assert_eq!(error["in_reply_to"], answers, "{change}: {error}");
        wire.assert_open().await;
    }
    for message in [
        json!({"type": "sync", "sync_type": "StateSync"}),
        request("StateSync", &"x".repeat(129)),
        json!({"type": "sync", "sync_type": "StateSync", "message_id": 7}),
    ] {
        let error = wire.request(message).await;
        assert_eq!(
            (&error["code"], &error["in_reply_to"]),
            (&json!("invalid_field"), &Value::Null),
            "{error}"
        );
        wire.assert_open().await;
    }
    let metrics = get(&relay, "/metrics").await;
    assert_eq!(metrics["sync_metrics"]["sync_requests"], 0, "none was processed");
}
