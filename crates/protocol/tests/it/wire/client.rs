//! What clients and relays send to a relay.

use sdk_relay_protocol::mesh::{Gossip, RelayId};
use sdk_relay_protocol::*;
use serde_json::{Value, json};

use super::{Sample, gossip};

/// Each message once with as few fields as it may have, and once with all of them.
fn messages() -> Vec<(&'static str, ClientMessage)> {
    let handshake = Handshake {
        client_id: "wallet-1".into(),
        version: API_VERSION.into(),
        capabilities: vec!["notifications".into(), "sync".into()],
        ..Handshake::default()
    };
    let relay = Handshake {
        timestamp: Some(1_703_001_600),
        resume_from: Some(7),
        resume_after: vec!["aa".into(), "bb".into()],
        token: Some(SecretHex::new("secret".into())),
        role: Some(Role::Relay),
        relay_id: Some("relay-2".into()),
        address: Some("relay-2.example.com:8090".into()),
        identity: Some(Identity {
            public_key: "cc".into(),
            nonce: "dd".into(),
        }),
        ..handshake.clone()
    };
    let subscribe = Subscribe {
        subscriptions: Topic::ALL.to_vec(),
        from_height: Some(800_000),
        client_id: Some("wallet-1".into()),
        timestamp: Some(1_703_001_600),
    };
    let few_topics = Subscribe {
        subscriptions: vec![Topic::Health],
        from_height: None,
        client_id: None,
        timestamp: None,
    };
    let sync = Sync {
        sync_type: SyncType::HealthSync,
        relay_id: None,
        payload: None,
        timestamp: None,
        message_id: "msg-1".into(),
    };
    let payload = |value: Value| value.as_object().unwrap().clone();
    let watch = Watch::of_keys(SecretHex::new("01".into()), "02".into());
    let reply = SyncReply {
        sync_type: SyncType::MetricsSync,
        relay_id: "relay-2".into(),
        payload: payload(json!({"metrics": {"known_relays": 3}})),
        timestamp: None,
        message_id: "msg-2".into(),
        in_reply_to: "msg-1".into(),
    };
    vec![
        ("handshake", ClientMessage::Handshake(handshake)),
        ("handshake-full", ClientMessage::Handshake(relay)),
        ("ping", ClientMessage::Ping(Ping::default())),
        (
            "ping-full",
            ClientMessage::Ping(Ping {
                client_id: Some("wallet-1".into()),
                timestamp: Some(1_703_001_600),
            }),
        ),
        ("subscribe", ClientMessage::Subscribe(few_topics.clone())),
        ("subscribe-full", ClientMessage::Subscribe(subscribe.clone())),
        ("unsubscribe", ClientMessage::Unsubscribe(few_topics)),
        ("unsubscribe-full", ClientMessage::Unsubscribe(subscribe)),
        ("sync", ClientMessage::Sync(sync.clone())),
        (
            "sync-full",
            ClientMessage::Sync(Sync {
                sync_type: SyncType::StateSync,
                relay_id: Some("relay-2".into()),
                payload: Some(payload(json!({"state": {"uptime": 1}, "gossip": {"digest": 5}}))),
                timestamp: Some(1_703_001_600),
                ..sync
            }),
        ),
        ("watch", ClientMessage::Watch(watch.clone())),
        (
            "watch-full",
            ClientMessage::Watch(Watch {
                labels: Some(vec![0, 1]),
                from_height: Some(800_000),
                to_height: Some(800_010),
                confirm_at: Some(vec![3, 6]),
                detach: Some(604_800),
                message_id: Some("msg-1".into()),
                ..watch
            }),
        ),
        (
            "watch-descriptor",
            ClientMessage::Watch(Watch {
                descriptor: Some(SecretDescriptor::new("sp(spscan1q)".into())),
                from_time: Some(Since(1_703_001_600)),
                ..Watch::default()
            }),
        ),
        (
            "unwatch",
            ClientMessage::Unwatch(Unwatch {
                watch_id: "watch-1".into(),
                message_id: None,
            }),
        ),
        (
            "unwatch-full",
            ClientMessage::Unwatch(Unwatch {
                watch_id: "watch-1".into(),
                message_id: Some("msg-1".into()),
            }),
        ),
        (
            "attach",
            ClientMessage::Attach(Attach {
                watch_id: "watch-1".into(),
                watch_token: SecretHex::new("aa".repeat(32)),
                after: 0,
                message_id: None,
            }),
        ),
        (
            "attach-full",
            ClientMessage::Attach(Attach {
                watch_id: "watch-1".into(),
                watch_token: SecretHex::new("aa".repeat(32)),
                after: 17,
                message_id: Some("msg-1".into()),
            }),
        ),
        (
            "relay_proof",
            ClientMessage::RelayProof(RelayProof {
                signature: "ee".into(),
                mac: None,
            }),
        ),
        (
            "relay_proof-full",
            ClientMessage::RelayProof(RelayProof {
                signature: "ee".into(),
                mac: Some("ff".into()),
            }),
        ),
        ("sync_response", ClientMessage::SyncResponse(reply.clone())),
        (
            "sync_response-full",
            ClientMessage::SyncResponse(SyncReply {
                timestamp: Some(1_703_001_600),
                ..reply
            }),
        ),
    ]
}

pub(super) fn samples() -> Vec<Sample> {
    let sample = |(name, message)| Sample::new("client", name, &message);
    let mut samples: Vec<Sample> = messages().into_iter().map(sample).collect();
    samples.push(Sample::new("gossip", "empty", &Gossip::default()));
    samples.push(Sample::new("gossip", "full", &gossip()));
    samples
}

#[test]
fn every_message_of_a_client() {
    for sample in samples() {
        sample.assert();
    }
    super::assert_every_tag::<ClientMessage, _>("type", messages().iter().map(|(_, message)| message));
}

#[test]
fn the_relay_reads_what_the_types_write() {
    for (name, message) in messages() {
        let text = encode_text(&message).unwrap();
        assert_eq!(parse_client_message(&text), Ok(message), "{name}");
    }
    let text = encode_text(&gossip()).unwrap();
    assert_eq!(serde_json::from_str::<Gossip>(&text).unwrap(), gossip());
    RelayId::new("relay 2").unwrap_err();
}

/// Fields that hold any object: what is in them is read elsewhere.
const ANY_OBJECT: [&str; 1] = ["payload"];

/// Each field of each message in turn, at any depth: with its path, and the messages in which it has a value of another
/// type.
fn with_wrong_values(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    let children: Vec<(String, Value)> = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| (name.clone(), field.clone()))
            .collect(),
        Value::Array(entries) => entries
            .iter()
            .take(1)
            .map(|entry| ("0".to_owned(), entry.clone()))
            .collect(),
        _ => return,
    };
    for (name, child) in children {
        let is_entry = value.is_array();
        if path.is_empty() && (name == "type" || name == "message_id") {
            continue;
        }
        let path = match (is_entry, path) {
            (true, path) => format!("{path}[{name}]"),
            (false, "") => name.clone(),
            (false, path) => format!("{path}.{name}"),
        };
        let place = |wrong: Value| {
            let mut parent = value.clone();
            match &mut parent {
                Value::Object(fields) => _ = fields.insert(name.clone(), wrong),
                Value::Array(entries) => entries[0] = wrong,
                _ => {}
            }
            parent
        };
        for wrong in [
            json!({"a": 1}),
            json!([[1]]),
            json!(true),
            json!("text at line 1"),
            json!(-1.5),
        ] {
            let same = std::mem::discriminant(&wrong) == std::mem::discriminant(&child);
            if !same {
                found.push((path.clone(), place(wrong)));
            }
        }
        if !ANY_OBJECT.contains(&name.as_str()) {
            let mut inner = Vec::new();
            with_wrong_values(&child, &path, &mut inner);
            found.extend(inner.into_iter().map(|(path, child)| (path, place(child))));
        }
    }
}

#[test]
fn a_wrong_field_is_named_with_its_path() {
    let mut tried = 0;
    for (_, message) in messages() {
        let message = serde_json::to_value(&message).unwrap();
        let kind = message["type"].as_str().unwrap().to_owned();
        let mut all = Vec::new();
        with_wrong_values(&message, "", &mut all);
        for (path, wrong) in all {
            let refusal = parse_client_message(&wrong.to_string()).expect_err(&wrong.to_string());
            tried += 1;
            let rest = refusal.message.strip_prefix(&format!("{kind}: {path}"));
            assert!(
                // A list in the place of an object: the path leads into it.
                rest.is_some_and(|rest| rest.starts_with(": ") || rest.starts_with("[0]: ")),
                "{path} in {}",
                refusal.message
            );
            assert_eq!(refusal.code, ErrorCode::InvalidField, "{wrong}");
        }
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn a_missing_field_is_named() {
    let mut tried = 0;
    for (_, message) in messages() {
        let message = serde_json::to_value(&message).unwrap();
        let fields = message.as_object().unwrap();
        for name in fields.keys().filter(|name| *name != "type") {
            let mut without = fields.clone();
            without.remove(name);
            let text = Value::Object(without).to_string();
            // The others are optional.
            if let Err(refusal) = parse_client_message(&text) {
                tried += 1;
                let expected = format!("{}: missing field `{name}`", message["type"].as_str().unwrap());
                assert_eq!(refusal.message, expected);
            }
        }
    }
    assert!(tried > 10, "{tried}");
}
