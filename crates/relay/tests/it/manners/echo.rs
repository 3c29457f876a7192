//! Values of ten kilobytes with control characters, wherever a client may send one: no answer and no line of the log
//! repeats more than a part of them.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use testkit::{HttpReply, RelayProcess, http_send};

use crate::wire::{Wire, handshake, standalone};

/// Most characters of an error's text: a value, a sentence, and the list of what is expected.
const MOST: usize = 1500;

/// Ten kilobytes with characters that clear a terminal and begin a line.
fn long() -> String {
    "\u{1b}[2Jxé\n".repeat(1500)
}

/// The same without control characters, for places where HTTP allows none.
fn plain() -> String {
    "xyz".repeat(3000)
}

fn check(text: &str, what: &str) {
    assert!(
        text.chars().count() < MOST,
        "{what}: {} characters: {text:.300}",
        text.len()
    );
    assert!(
        !text.trim_end_matches('\n').contains(char::is_control),
        "{what}: {text:?}"
    );
    assert!(
        text.matches("xyz").count() < 40 && text.matches("xé").count() < 40,
        "{what}: {text}"
    );
}

async fn send(relay: &RelayProcess, request: hyper::http::request::Builder, body: Value) -> HttpReply {
    let body = if body.is_null() {
        Bytes::new()
    } else {
        body.to_string().into()
    };
    let request = request.header("content-type", "application/json");
    let reply = http_send(request.body(Full::from(body)).unwrap()).await;
    assert!(!relay.http_url().is_empty());
    reply
}

#[tokio::test]
async fn no_http_answer_repeats_a_long_value() {
    let relay = RelayProcess::start(standalone().set("LOG__LEVEL", "info,sdk_relay=debug")).await;
    let url = |path: &str| format!("{}{path}", relay.http_url());
    let (long, plain) = (long(), plain());
    let get = |path: String| Request::get(url(&path));
    let mut replies: Vec<(String, HttpReply)> = Vec::new();
    for path in [
        format!("/{plain}"),
        format!("/relays/{plain}"),
        format!("/sync/force/{plain}"),
        format!("/bitcoin/blocks/{plain}"),
        format!("/blindbit/v1/block-hash/{plain}"),
        format!("/blindbit/v2/{plain}"),
        format!("/dashboard/{plain}/x"),
        format!("/logs?limit={plain}"),
        format!("/logs?level={plain}"),
        format!("/logs?search={plain}"),
        format!("/sync/history?limit={plain}"),
        format!("/sync/history?sync_type={plain}"),
        format!("/sync/history?relay_id={plain}"),
        format!("/bitcoin/first-block?since={plain}"),
        format!("/events?last_event_id={plain}"),
        format!("/health?{plain}={plain}"),
    ] {
        let what = path.chars().take(40).collect();
        if !path.starts_with("/events") {
            replies.push((what, send(&relay, get(path), Value::Null).await));
        }
    }
    for (name, value) in [
        ("x-forwarded-for", plain.as_str()),
        ("origin", &plain),
        ("host", &plain),
        ("authorization", &plain),
        ("last-event-id", &plain),
        ("accept", &plain),
        (&format!("x-proxy-{}", &plain[..3000]), "1"),
    ] {
        let request = Request::get(url("/logs")).header(name, value);
        replies.push((format!("header {name:.20}"), send(&relay, request, Value::Null).await));
    }
    let method = plain[..3000].to_uppercase();
    let request = Request::builder().method(method.as_str()).uri(url("/health"));
    replies.push(("a method".to_owned(), send(&relay, request, Value::Null).await));
    for (method, path, body) in [
        ("PUT", "/config", json!({&long: 1})),
        ("PUT", "/config", json!({"log": {"level": &long}})),
        ("PUT", "/config", json!({"sync": {"interval": &long}})),
        ("PUT", "/config", json!({"sync": {&long: 5}})),
        ("PUT", "/config", json!({"bitcoin_core": {"url": &long}})),
        ("POST", "/sync/force", json!({"sync_types": [&long]})),
        ("POST", "/sync/force", json!({"target_relays": [&long]})),
        ("POST", "/sync/force", json!({&long: &long})),
        ("POST", "/tx", json!({"hex": &long})),
        ("POST", "/tx", json!({"hex": 5, &long: &long})),
        ("POST", "/dev/mine", json!({"blocks": &long})),
        ("POST", "/dev/pay", json!({"address": &long, "amount": "1"})),
        ("POST", "/dev/pay", json!({"address": "x", "amount": &long})),
        ("POST", "/blindbit/v1/forward-tx", json!({"data": &long})),
        ("POST", "/blindbit/v1/forward-tx", json!({"data": [&long]})),
    ] {
        let request = Request::builder().method(method).uri(url(path));
        replies.push((format!("{method} {path}"), send(&relay, request, body).await));
    }
    let mut refused = 0;
    for (what, reply) in &replies {
        if reply.status.is_success() {
            continue;
        }
        // The HTTP library refuses what exceeds its own bounds, without a body.
        if reply.body.is_empty() {
            continue;
        }
        refused += 1;
        let document = reply.json();
        check(document["detail"].as_str().unwrap(), what);
        for error in document["errors"].as_array().into_iter().flatten() {
            check(error["field"].as_str().unwrap(), what);
            check(error["message"].as_str().unwrap(), what);
        }
    }
    assert!(refused > 25, "{refused}");
    the_log_is_readable(&relay);
}

/// The log has none of it: neither long lines nor control characters.
fn the_log_is_readable(relay: &RelayProcess) {
    let log = relay.stderr();
    assert!(log.contains("listening"), "{log:.500}");
    for line in log.lines() {
        assert!(line.chars().count() < 2 * MOST, "{line:.500}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

#[tokio::test]
async fn no_websocket_error_repeats_a_long_value() {
    let relay = RelayProcess::start(standalone().set("LOG__LEVEL", "info,sdk_relay=debug")).await;
    let long = long();
    let key = "01".repeat(32);
    for message in [
        json!({"type": &long}),
        json!({"type": "subscribe", "subscriptions": [&long]}),
        json!({"type": "subscribe", "subscriptions": &long}),
        json!({"type": "subscribe", "subscriptions": [], "from_height": &long}),
        json!({"type": "unsubscribe", "subscriptions": [&long]}),
        json!({"type": "sync", "sync_type": &long, "message_id": "a"}),
        json!({"type": "sync", "sync_type": "StateSync", "relay_id": [&long], "message_id": "a"}),
        json!({"type": "watch", "scan_private_key": &long, "spend_public_key": "02"}),
        json!({"type": "watch", "scan_private_key": &key, "spend_public_key": &long}),
        json!({"type": "watch", "scan_private_key": &key, "spend_public_key": "02", "labels": [&long]}),
        json!({"type": "unwatch", "watch_id": &long}),
        json!({"type": "ping", "timestamp": &long}),
    ] {
        let mut client = Wire::open(&relay.ws_url()).await;
        client
            .send(handshake(&["sync", "notifications", "health", "metrics"]))
            .await;
        let kind = message["type"].as_str().unwrap().chars().take(20).collect::<String>();
        client.send(message).await;
        loop {
            let answer: Value = serde_json::from_str(&client.receive_text().await).unwrap();
            if answer["type"] == "error" {
                check(answer["message"].as_str().unwrap(), &kind);
                break;
            }
        }
    }
    the_log_is_readable(&relay);
}
