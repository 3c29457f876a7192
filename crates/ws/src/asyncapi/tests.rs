use std::collections::BTreeSet;

use sdk_relay_config::{Loader, Overrides};
use sdk_relay_protocol::{Event, encode_text, parse_client_message};

use super::*;

fn client_word(message: &ClientMessage) -> &'static str {
    match message {
        ClientMessage::Handshake(_) => "handshake",
        ClientMessage::Ping(_) => "ping",
        ClientMessage::Subscribe(_) => "subscribe",
        ClientMessage::Unsubscribe(_) => "unsubscribe",
        ClientMessage::Sync(_) => "sync",
        ClientMessage::Watch(_) => "watch",
        ClientMessage::Unwatch(_) => "unwatch",
        ClientMessage::Attach(_) => "attach",
        ClientMessage::RelayProof(_) => "relay_proof",
        ClientMessage::SyncResponse(_) => "sync_response",
    }
}

fn server_word(message: &ServerMessage) -> &'static str {
    match message {
        ServerMessage::HandshakeResponse(_) => "handshake_response",
        ServerMessage::RelayChallenge(_) => "relay_challenge",
        ServerMessage::Notification(_) => "notification",
        ServerMessage::Sync(_) => "sync",
        ServerMessage::SyncResponse(_) => "sync_response",
        ServerMessage::Pong(_) => "pong",
        ServerMessage::SubscribeResponse(_) => "subscribe_response",
        ServerMessage::UnsubscribeResponse(_) => "unsubscribe_response",
        ServerMessage::WatchResponse(_) => "watch_response",
        ServerMessage::WatchProgress(_) => "watch_progress",
        ServerMessage::UnwatchResponse(_) => "unwatch_response",
        ServerMessage::AttachResponse(_) => "attach_response",
        ServerMessage::WatchGap(_) => "watch_gap",
        ServerMessage::WatchEnded(_) => "watch_ended",
        ServerMessage::Error(_) => "error",
    }
}

fn event_word(event: &Event) -> &'static str {
    match event {
        Event::PaymentDetected(_) => "payment_detected",
        Event::PaymentReverted(_) => "payment_reverted",
        Event::PaymentConfirmed(_) => "payment_confirmed",
        Event::PaymentSpent(_) => "payment_spent",
        Event::PaymentSpentReverted(_) => "payment_spent_reverted",
        Event::BlockMined(_) => "block_mined",
        Event::BlockDisconnected(_) => "block_disconnected",
        Event::RelayConnected(_) => "relay_connected",
        Event::RelayDisconnected(_) => "relay_disconnected",
        Event::Tweaks(_) => "tweaks",
    }
}

fn made() -> Value {
    let dir = tempfile::tempdir().unwrap();
    let overrides = Overrides::default().with_data_dir(dir.path()).with_standalone();
    document(&Loader::new(overrides).load().unwrap())
}

/// Variants of an enum as its schema lists them.
fn words(schema: &Value, tag: &str) -> BTreeSet<String> {
    let variants = schema["oneOf"].as_array().unwrap();
    let word = |v: &Value| {
        v["properties"][tag]["enum"][0]
            .as_str()
            .map(str::to_owned)
            .or_else(|| word_of(v))
    };
    variants.iter().map(|v| word(v).unwrap()).collect()
}

#[test]
fn every_message_is_there_with_examples_that_are_right() {
    let document = made();
    let messages = document["components"]["messages"].as_object().unwrap();
    let mut said = BTreeSet::new();
    let mut events = BTreeSet::new();
    for line in CLIENT_EXAMPLES.lines() {
        let message = parse_client_message(line).unwrap();
        assert_eq!(
            serde_json::to_value(&message).unwrap(),
            serde_json::from_str::<Value>(line).unwrap()
        );
        said.insert(format!("client.{}", client_word(&message)));
    }
    for line in SERVER_EXAMPLES.lines() {
        let message: ServerMessage = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!(encode_text(&message).unwrap(), line, "all fields, in their order");
        if let ServerMessage::Notification(n) = &message {
            events.insert(event_word(&n.event).to_owned());
        }
        said.insert(format!("server.{}", server_word(&message)));
    }
    assert_eq!(said, messages.keys().cloned().collect());
    assert_eq!(
        events,
        words(&document["components"]["schemas"]["Event"], "notification_type")
    );
    let examples: usize = messages.values().map(|m| m["examples"].as_array().unwrap().len()).sum();
    assert_eq!(examples, CLIENT_EXAMPLES.lines().chain(SERVER_EXAMPLES.lines()).count());
    assert!(messages.values().all(|m| m["summary"].is_string()));
}

#[test]
fn every_reference_leads_somewhere() {
    fn follow(node: &Value, document: &Value) {
        if let Some(to) = node["$ref"].as_str() {
            assert!(document.pointer(&to[1..]).is_some(), "{to}");
        }
        match node {
            Value::Object(fields) => fields.values().for_each(|n| follow(n, document)),
            Value::Array(items) => items.iter().for_each(|n| follow(n, document)),
            _ => {}
        }
    }
    let document = made();
    follow(&document, &document);
}
