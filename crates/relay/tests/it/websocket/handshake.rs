//! The first message and its answer.

use serde_json::{Value, json};
use testkit::RelayProcess;

use crate::impatient;
use crate::wire::json::Json;
use crate::wire::reference::Reference;
use crate::wire::{Wire, get, handshake, start};

#[tokio::test]
async fn accepted_with_every_field_in_order() {
    let relay = start().await;
    let mut wire = Wire::open(&relay.ws_url()).await;
    wire.send(handshake(&["notifications"])).await;
    let text = wire.receive_text().await;
    let keys = [
        "type",
        "status",
        "relay_id",
        "version",
        "capabilities",
        "timestamp",
        "connection_id",
        "network",
        "last_event_id",
        "silent_payment_address",
        "software_version",
    ];
    assert_eq!(Json::parse(&text).keys(), keys);
    let response: Value = serde_json::from_str(&text).unwrap();
    let config = get(&relay, "/config").await;
    for (field, value) in [
        ("status", json!("accepted")),
        ("relay_id", config["relay_id"].clone()),
        ("version", json!("1.0.0")),
        (
            "capabilities",
            json!(["sync", "notifications", "health", "metrics", "tweaks", "watch"]),
        ),
        ("network", json!("regtest")),
        ("last_event_id", json!(0)),
        ("silent_payment_address", config["silent_payment_address"].clone()),
        ("software_version", json!(env!("CARGO_PKG_VERSION"))),
    ] {
        assert_eq!(response[field], value, "{field}");
    }
    assert!(
        response["silent_payment_address"]
            .as_str()
            .unwrap()
            .starts_with("sprt1")
    );
    let (_other, second) = Wire::connect_with(&relay.ws_url(), handshake(&[])).await;
    assert_ne!(second["connection_id"], response["connection_id"]);
}

#[tokio::test]
async fn the_reference_sample_is_accepted() {
    let Some(reference) = Reference::open() else {
        return;
    };
    let relay = start().await;
    let mut wire = Wire::open(&relay.ws_url()).await;
    wire.send_text(reference.message("Message de Handshake")).await;
    let text = wire.receive_text().await;
    reference.check(
        "handshake_response",
        reference.message("Réponse de Handshake"),
        &text,
        &[],
    );
}

#[tokio::test]
async fn optional_and_unknown_fields_are_accepted() {
    let relay = start().await;
    for change in [
        json!({"client_id": "é".repeat(128)}),
        json!({"version": "1.99.3-rc.1+build"}),
        json!({"capabilities": ["flying", "sync", ""]}),
        json!({"timestamp": 1_703_001_600, "further": {"deep": [1, null]}}),
        json!({"role": "client", "relay_id": "ignored of a client"}),
        json!({"timestamp": null, "resume_from": null, "role": null}),
    ] {
        let (_wire, response) = Wire::connect_with(&relay.ws_url(), changed(&change)).await;
        assert_eq!(response["status"], "accepted", "{change}: {response}");
        assert_eq!(response.get("reason"), None, "{response}");
        assert_eq!(response.get("resume"), None, "{response}");
    }
}

#[tokio::test]
async fn an_invalid_handshake_is_rejected_with_the_reason_and_closed() {
    let relay = start().await;
    let mut cases: Vec<(String, &str)> = [
        (json!({"client_id": null}), "client_id"),
        (json!({"client_id": ""}), "client_id"),
        (json!({"client_id": "x".repeat(129)}), "client_id"),
        (json!({"version": format!("1.0.0-{}", "x".repeat(64))}), "version"),
        (json!({"capabilities": ["x".repeat(65)]}), "capabilities"),
        (json!({"capabilities": vec!["sync"; 65]}), "capabilities"),
        (json!({"client_id": "line\nbreak"}), "client_id"),
        (json!({"client_id": 7}), "integer `7`"),
        (json!({"version": null}), "version"),
        (json!({"version": "2.0.0"}), "version 1"),
        (json!({"version": "0.9.0"}), "version 1"),
        (json!({"version": "1.0"}), "MAJOR.MINOR.PATCH"),
        (json!({"version": "v1.0.0"}), "MAJOR.MINOR.PATCH"),
        (json!({"version": ""}), "MAJOR.MINOR.PATCH"),
        (json!({"capabilities": null}), "capabilities"),
        (json!({"capabilities": "sync"}), "string \"sync\""),
        (json!({"capabilities": [1]}), "integer `1`"),
        (json!({"role": "king"}), "king"),
        // A reason that exceeds a close frame.
        (json!({"role": "é".repeat(1000)}), "éé"),
        (json!({"version": "é".repeat(100_000)}), "MAJOR.MINOR.PATCH"),
        (json!({"role": "relay"}), "relay_id"),
        (json!({"role": "relay", "relay_id": "two words"}), "relay_id"),
        (json!({"address": "a b"}), "address"),
        (json!({"resume_from": -1}), "-1"),
        (json!({"resume_from": "5"}), "\"5\""),
        (json!({"timestamp": "now"}), "now"),
    ]
    .into_iter()
    .map(|(change, word)| (changed(&change).to_string(), word))
    .collect();
    cases.extend([
        ("hello".to_owned(), "not JSON"),
        (String::new(), "not JSON"),
        ("[]".to_owned(), "a JSON object"),
        ("{}".to_owned(), "type: missing"),
        (r#"{"type":"ping"}"#.to_owned(), "the first message must be a handshake"),
        (r#"{"type":"hello"}"#.to_owned(), "unknown type"),
        (
            r#"{"type":"subscribe","subscriptions":["health"]}"#.to_owned(),
            "must be a handshake",
        ),
    ]);
    for (text, word) in cases {
        let mut wire = Wire::open(&relay.ws_url()).await;
        wire.send_text(text.as_str()).await;
        let response = wire.receive().await;
        assert_eq!(response["type"], "handshake_response", "{text}: {response}");
        assert_eq!(response["status"], "rejected", "{text}: {response}");
        let reason = response["reason"].as_str().unwrap_or_default();
        assert!(reason.contains(word), "{text}: {reason}");
        assert_eq!(wire.closed().await.0, 1002, "{text}");
    }
    for word in ["ERROR", "panicked"] {
        assert!(!relay.stderr().contains(word), "{}", relay.stderr());
    }
}

#[tokio::test]
async fn who_says_nothing_is_closed_after_the_time_limit() {
    let relay = RelayProcess::start(impatient::standalone()).await;
    let since = std::time::Instant::now();
    let mut wire = Wire::open(&relay.ws_url()).await;
    let (code, reason) = wire.closed().await;
    assert_eq!(code, 1002);
    assert!(reason.contains("3 s"), "{reason}");
    assert!(since.elapsed() >= impatient::INPUT, "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_second_handshake_is_an_error_without_a_close() {
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &["notifications"]).await;
    let error = wire.request(handshake(&["tweaks"])).await;
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("error"), &json!("invalid_field"))
    );
    let topics = wire.request(json!({"type": "subscribe", "subscriptions": []})).await;
    assert_eq!(topics["subscriptions"], json!(["notifications"]), "it changed nothing");
}

/// A valid handshake with these fields replaced; `null` removes a field.
fn changed(change: &Value) -> Value {
    let mut message = handshake(&["sync"]);
    let fields = message.as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() && fields.contains_key(name) {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
    message
}

#[tokio::test]
async fn a_misspelt_capability_is_ignored_and_named() {
    let relay = start().await;
    let misspelt = handshake(&["notification", "sync", "Tweaks"]);
    let (mut wire, response) = Wire::connect_with(&relay.ws_url(), misspelt).await;
    assert_eq!(response["status"], "accepted", "{response}");
    assert_eq!(response["unknown_capabilities"], json!(["notification", "Tweaks"]));
    wire.assert_open().await;
    let (_wire, response) = Wire::connect_with(&relay.ws_url(), handshake(&["notifications", "watch"])).await;
    assert_eq!(response.get("unknown_capabilities"), None, "{response}");
}
