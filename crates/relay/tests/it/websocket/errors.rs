//! Errors are reported, and the connection stays open; ten in a row end it.

use serde_json::{Value, json};

use crate::wire::json::Json;
use crate::wire::{Wire, start};

#[tokio::test]
async fn every_error_has_its_code_and_names_its_message() {
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &[]).await;
    let cases = [
        ("hello", "invalid_json", Value::Null),
        ("", "invalid_json", Value::Null),
        ("{", "invalid_json", Value::Null),
        (r#"{"type":"ping"} {}"#, "invalid_json", Value::Null),
        ("[]", "invalid_json", Value::Null),
        (r#"["ping"]"#, "invalid_json", Value::Null),
        ("null", "invalid_json", Value::Null),
        ("5", "invalid_json", Value::Null),
        (r#""ping""#, "invalid_json", Value::Null),
        ("{}", "unknown_type", Value::Null),
        (r#"{"message_id":"m-1"}"#, "unknown_type", json!("m-1")),
        (r#"{"type":null,"message_id":"m-2"}"#, "unknown_type", json!("m-2")),
        (r#"{"type":"dance","message_id":"m-3"}"#, "unknown_type", json!("m-3")),
        (r#"{"type":"PING"}"#, "unknown_type", Value::Null),
        (r#"{"type":"pong"}"#, "unknown_type", Value::Null),
        (r#"{"type":7,"message_id":"m-4"}"#, "invalid_field", json!("m-4")),
        (
            r#"{"type":"ping","client_id":7,"message_id":"m-5"}"#,
            "invalid_field",
            json!("m-5"),
        ),
        (r#"{"type":"ping","timestamp":"x"}"#, "invalid_field", Value::Null),
        (
            r#"{"type":"subscribe","message_id":"m-6"}"#,
            "invalid_field",
            json!("m-6"),
        ),
        (
            r#"{"type":"unwatch","watch_id":"watch-1","message_id":"m-7"}"#,
            "invalid_field",
            json!("m-7"),
        ),
        (r#"{"type":"ping","type":"ping"}"#, "invalid_field", Value::Null),
    ];
    for (text, code, answers) in cases {
        wire.send_text(text).await;
        let answer = wire.answer_text().await;
        let keys = ["type", "code", "message", "in_reply_to", "timestamp"];
        assert_eq!(Json::parse(&answer).keys(), keys, "{text}: {answer}");
        let error: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("error"), &json!(code)),
            "{text}: {error}"
        );
        assert_eq!(error["in_reply_to"], answers, "{text}: {error}");
        assert!(!error["message"].as_str().unwrap().is_empty());
        wire.assert_open().await;
    }
    // Neither a long message_id nor a long value is returned in full.
    let long = "x".repeat(300_000);
    let error = wire
        .request(json!({"type": long, "timestamp": long, "message_id": long}))
        .await;
    assert_eq!(
        (&error["code"], &error["in_reply_to"]),
        (&json!("unknown_type"), &Value::Null)
    );
    let error = wire.request(json!({"type": "ping", "timestamp": long})).await;
    assert!(error["message"].as_str().unwrap().len() < 300, "{error}");
    let deep = format!("{}{}", r#"{"type":"ping","x":"#, "[".repeat(100_000));
    wire.send_text(deep).await;
    assert_eq!(wire.answer_text().await.find("invalid_json"), Some(24));
    wire.assert_open().await;
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &[]).await;
    let pong = wire
        .request(json!({"type": "ping", "mood": [1, {"x": null}], "timestamp": 1}))
        .await;
    assert_eq!(pong["type"], "pong", "{pong}");
}

#[tokio::test]
async fn the_tenth_error_in_a_row_ends_the_connection() {
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &[]).await;
    for _ in 0..2 {
        for _ in 0..9 {
            assert_eq!(wire.request(json!({"type": "dance"})).await["type"], "error");
        }
        // A valid message resets the count.
        wire.assert_open().await;
    }
    for _ in 0..10 {
        assert_eq!(
            wire.request(json!({"type": "dance"})).await["type"],
            "error",
            "the tenth is answered too"
        );
    }
    let (code, reason) = wire.closed().await;
    assert_eq!(code, 1002);
    assert!(reason.contains("errors in a row"), "{reason}");
    assert!(!relay.stderr().contains("panicked"), "{}", relay.stderr());
}

#[tokio::test]
async fn a_client_over_the_message_rate_gets_an_error() {
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &[]).await;
    let (mut pongs, mut refused) = (0, Value::Null);
    // The allowance is 500 at once and 100 a second; what is sent in one go is far beyond it.
    for n in 0..2000 {
        if wire
            .raw
            .send_text(format!(r#"{{"type":"ping","message_id":"p-{n}"}}"#))
            .await
            .is_err()
        {
            break;
        }
    }
    while refused.is_null() {
        let answer = wire.receive().await;
        match answer["type"].as_str() {
            Some("pong") => pongs += 1,
            _ => refused = answer,
        }
    }
    assert!(pongs >= 499, "{pongs}");
    assert_eq!(refused["code"], "rate_limited", "{refused}");
    assert_eq!(refused["in_reply_to"], format!("p-{pongs}"), "{refused}");
}
