//! Topics: subscriptions and messages.

use serde_json::{Value, json};
use testkit::{Bare, RelayProcess, frame};

use crate::wire::json::Json;
use crate::wire::reference::Reference;
use crate::wire::{Wire, handshake, mine, mine_history, standalone};

/// Fields that are `null` for a relay without links and without a failure.
const UNKNOWN: [&str; 3] = [
    "payload.health.network_latency",
    "payload.metrics.avg_latency",
    "payload.metrics.success_rate",
];

/// A relay without periodic reports.
async fn without_intervals() -> RelayProcess {
    let options = ["SYNC__INTERVAL", "SYNC__HEALTH_INTERVAL", "SYNC__METRICS_INTERVAL"]
        .iter()
        .fold(standalone(), |options, key| options.set(key, "86400"));
    RelayProcess::start(options).await
}

#[tokio::test]
async fn capabilities_subscribe_and_cause_an_immediate_report() {
    let relay = without_intervals().await;
    let mut wire = Wire::connect(&relay.ws_url(), &["metrics", "sync", "flying", "health", "watch"]).await;
    let mut reports = Vec::new();
    for _ in 0..3 {
        reports.push(wire.receive().await["sync_type"].clone());
    }
    reports.sort_by_key(Value::to_string);
    assert_eq!(reports, ["HealthSync", "MetricsSync", "StateSync"]);
    let topics = wire.request(json!({"type": "subscribe", "subscriptions": []})).await;
    assert_eq!(topics["subscriptions"], json!(["health", "metrics", "sync"]));
}

#[tokio::test]
async fn both_answers_list_the_whole_set() {
    let relay = without_intervals().await;
    let mut wire = Wire::connect(&relay.ws_url(), &["notifications"]).await;
    let steps = [
        ("subscribe", json!(["tweaks"]), json!(["notifications", "tweaks"]), 0),
        (
            "subscribe",
            json!(["health", "health"]),
            json!(["notifications", "health", "tweaks"]),
            1,
        ),
        // A topic that is subscribed already causes no second report.
        (
            "subscribe",
            json!(["health"]),
            json!(["notifications", "health", "tweaks"]),
            0,
        ),
        (
            "unsubscribe",
            json!(["tweaks", "sync"]),
            json!(["notifications", "health"]),
            0,
        ),
        ("unsubscribe", json!(["health"]), json!(["notifications"]), 0),
        (
            "subscribe",
            json!(["health", "sync", "metrics"]),
            json!(["notifications", "health", "metrics", "sync"]),
            3,
        ),
        (
            "unsubscribe",
            json!(["notifications", "health", "metrics", "sync"]),
            json!([]),
            0,
        ),
    ];
    for (kind, topics, holds, reports) in steps {
        wire.send(json!({"type": kind, "subscriptions": topics, "client_id": "test", "timestamp": 1}))
            .await;
        let text = wire.receive_text().await;
        let keys = ["type", "status", "subscriptions", "relay_id", "timestamp"];
        assert_eq!(Json::parse(&text).keys(), keys, "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["type"], format!("{kind}_response"));
        assert_eq!(answer["status"], format!("{kind}d"));
        assert_eq!(answer["subscriptions"], holds, "{kind} {topics}");
        for _ in 0..reports {
            assert_eq!(wire.receive().await["type"], "sync", "{kind} {topics}");
        }
    }
    // No further message follows.
    wire.send(json!({"type": "ping"})).await;
    assert_eq!(wire.receive().await["type"], "pong");
}

#[tokio::test]
async fn an_unknown_topic_is_refused_without_effect() {
    let relay = without_intervals().await;
    let mut wire = Wire::connect(&relay.ws_url(), &["notifications"]).await;
    for bad in [json!(["health", "weather"]), json!("health"), json!([1]), Value::Null] {
        let error = wire
            .request(json!({"type": "subscribe", "subscriptions": bad, "message_id": "s-1"}))
            .await;
        assert_eq!(error["code"], "invalid_field", "{bad}: {error}");
        assert_eq!(error["in_reply_to"], "s-1", "{bad}: {error}");
    }
    let topics = wire.request(json!({"type": "subscribe", "subscriptions": []})).await;
    assert_eq!(topics["subscriptions"], json!(["notifications"]));
}

#[tokio::test]
async fn reports_are_sent_at_their_intervals_until_unsubscribed() {
    let options = standalone()
        .set("SYNC__INTERVAL", "1")
        .set("SYNC__HEALTH_INTERVAL", "1")
        .set("SYNC__METRICS_INTERVAL", "1");
    let relay = RelayProcess::start(options).await;
    let mut wire = Wire::connect(&relay.ws_url(), &["sync", "health", "metrics"]).await;
    let mut counts = [0; 3];
    let mut ids = std::collections::HashSet::new();
    while counts.iter().any(|count| *count < 3) {
        let report = wire.receive().await;
        assert_eq!(report["type"], "sync", "{report}");
        assert!(
            ids.insert(report["message_id"].to_string()),
            "{report} has the name of another"
        );
        let kinds = ["StateSync", "HealthSync", "MetricsSync"];
        counts[kinds
            .iter()
            .position(|kind| report["sync_type"] == *kind)
            .expect("one of three")] += 1;
    }
    let answer = wire
        .request(json!({"type": "unsubscribe", "subscriptions": ["metrics", "health"]}))
        .await;
    assert_eq!(answer["subscriptions"], json!(["sync"]));
    for _ in 0..3 {
        assert_eq!(wire.receive().await["sync_type"], "StateSync");
    }
}

#[tokio::test]
async fn each_topic_has_its_own_messages() {
    let relay = without_intervals().await;
    let mut blocks = Wire::connect(&relay.ws_url(), &["notifications"]).await;
    let mut tweaks = Wire::connect(&relay.ws_url(), &["tweaks"]).await;
    let mut neither = Wire::connect(&relay.ws_url(), &[]).await;
    let hash = mine(&relay, 1).await.remove(0);
    let mined = blocks.receive().await;
    assert_eq!(mined["notification_type"], "block_mined");
    assert_eq!(mined["data"]["block_hash"], hash.as_str());
    let reported = tweaks.receive().await;
    assert_eq!(reported["notification_type"], "tweaks");
    assert_eq!(reported["data"]["block_hash"], hash.as_str());
    assert_eq!(reported["event_id"], json!(mined["event_id"].as_u64().unwrap() + 1));
    for wire in [&mut blocks, &mut tweaks, &mut neither] {
        wire.send(json!({"type": "ping"})).await;
        assert_eq!(wire.receive().await["type"], "pong", "no other message");
    }
}

#[tokio::test]
async fn messages_have_the_shapes_of_the_reference() {
    let Some(reference) = Reference::open() else {
        return;
    };
    let relay = without_intervals().await;
    let mut wire = Wire::connect(&relay.ws_url(), &[]).await;
    wire.send_text(reference.message("Message Subscribe")).await;
    reference.check(
        "subscribe",
        reference.message("Réponse Subscribe"),
        &wire.answer_text().await,
        &[],
    );
    wire.send_text(reference.message("Message Unsubscribe")).await;
    reference.check(
        "unsubscribe",
        reference.message("Réponse Unsubscribe"),
        &wire.answer_text().await,
        &[],
    );
    wire.send_text(reference.message("Message Ping")).await;
    reference.check(
        "ping",
        reference.message("Message Pong"),
        &wire.answer_text().await,
        &[],
    );
    for (topic, label) in [
        ("sync", "Message StateSync"),
        ("health", "Message HealthSync"),
        ("metrics", "Message MetricsSync"),
    ] {
        let mut wire = Wire::connect(&relay.ws_url(), &[topic]).await;
        reference.check(topic, reference.message(label), &wire.receive_text().await, &UNKNOWN);
    }
    let mut wire = Wire::connect(&relay.ws_url(), &["notifications"]).await;
    mine(&relay, 1).await;
    reference.check(
        "block",
        reference.message("Message Block Mined"),
        &wire.receive_text().await,
        &[],
    );
}

#[tokio::test]
async fn the_history_of_tweaks_ends_with_its_subscription() {
    let relay = without_intervals().await;
    mine_history(&relay, 0).await;
    let mut bare = Bare::connect(&relay.ws_url()).await.upgrade().await;
    let history = json!({"type": "subscribe", "subscriptions": ["tweaks"], "from_height": 0});
    let end = json!({"type": "unsubscribe", "subscriptions": ["tweaks"]});
    let live = json!({"type": "subscribe", "subscriptions": ["tweaks"]});
    // In one write: the history has just begun when it ends, and is not read when its topic is subscribed to again.
    let messages = [handshake(&[]), history, end, live].map(|message| frame(0x81, message.to_string().as_bytes()));
    assert!(bare.send(&messages.concat()).await);
    let mut answers = 0;
    let mut received = async || {
        let (_, text) = bare.read_frame().await.expect("a message");
        serde_json::from_slice::<Value>(&text).expect("JSON")
    };
    while answers < 4 {
        let message = received().await;
        if message["type"] == "notification" {
            assert_eq!(answers, 2, "history only until the answer to the end: {message}");
        } else {
            answers += 1;
        }
    }
    mine(&relay, 1).await;
    let notification = received().await;
    assert_eq!(notification["data"]["historical"], Value::Null, "{notification}");
}
