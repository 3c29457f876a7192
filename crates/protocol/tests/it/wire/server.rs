//! What a relay sends to clients and relays.

use sdk_relay_protocol::*;

use super::{Sample, gossip};

const NOW: u64 = 1_703_001_600;

fn payment() -> Payment {
    Payment {
        txid: "aa".into(),
        block_height: None,
        block_hash: None,
        amount: "0.001".into(),
        address: "sp1q".into(),
        confirmations: 0,
        timestamp: 1,
        fee: None,
        size: 250,
        vout: 2,
        tweak: None,
        label: None,
        watch_id: None,
        amount_sats: 100_000,
        fee_sats: None,
        public_key: None,
        spent_by: None,
        spent_height: None,
        replaced_by: None,
        historical: false,
    }
}

fn payment_of_a_watch() -> Payment {
    Payment {
        block_height: Some(800_000),
        block_hash: Some("bb".into()),
        confirmations: 3,
        fee: Some("0.00001".into()),
        tweak: Some(SecretHex::new("cc".into())),
        label: Some(1),
        watch_id: Some("watch-1".into()),
        fee_sats: Some(1000),
        public_key: Some("ee".into()),
        spent_by: Some("dd".into()),
        spent_height: Some(800_002),
        historical: true,
        ..payment()
    }
}

fn spent() -> PaymentSpent {
    PaymentSpent {
        txid: "aa".into(),
        vout: 2,
        amount: "0.001".into(),
        amount_sats: 100_000,
        address: "sp1q".into(),
        label: None,
        spent_by: Some("dd".into()),
        vin: Some(0),
        block_height: None,
        block_hash: None,
        confirmations: 0,
        timestamp: 1,
        fee_sats: Some(250),
        watch_id: None,
        replaced_by: None,
    }
}

fn spent_of_a_watch() -> PaymentSpent {
    PaymentSpent {
        label: Some(1),
        vin: None,
        block_height: Some(800_002),
        block_hash: Some("bb".into()),
        confirmations: 1,
        fee_sats: None,
        watch_id: Some("watch-1".into()),
        replaced_by: Some("ff".into()),
        ..spent()
    }
}

fn events() -> Vec<(&'static str, Event)> {
    let output = TweakOutput {
        vout: 0,
        public_key: "dd".into(),
        amount_sats: 330,
    };
    let tx = |continues| TweakTx {
        txid: "aa".into(),
        tweak: "02".into(),
        outputs: vec![output.clone()],
        continues,
    };
    let tweaks = |transactions, part, parts, historical| Tweaks {
        block_height: 800_000,
        block_hash: "bb".into(),
        transactions,
        part,
        parts,
        historical,
    };
    let replaced = Payment {
        replaced_by: Some("ff".into()),
        ..payment()
    };
    vec![
        ("payment_detected", Event::PaymentDetected(Box::new(payment()))),
        (
            "payment_detected-full",
            Event::PaymentDetected(Box::new(payment_of_a_watch())),
        ),
        ("payment_reverted", Event::PaymentReverted(Box::new(payment()))),
        ("payment_reverted-replaced", Event::PaymentReverted(Box::new(replaced))),
        (
            "block_mined",
            Event::BlockMined(BlockMined {
                block_height: 800_000,
                block_hash: "bb".into(),
                transactions: 2,
                size: 1024,
                timestamp: NOW,
                difficulty: 1.5,
                merkle_root: "ee".into(),
            }),
        ),
        (
            "block_disconnected",
            Event::BlockDisconnected(BlockDisconnected {
                block_height: 800_000,
                block_hash: "bb".into(),
                previous_block_hash: "aa".into(),
                timestamp: NOW,
            }),
        ),
        (
            "relay_connected",
            Event::RelayConnected(RelayConnected {
                relay_id: "relay-2".into(),
                address: Some("relay-2.example.com:8090".into()),
                version: API_VERSION.into(),
                capabilities: vec!["sync".into()],
                timestamp: NOW,
                connection_id: "mesh-relay-2".into(),
            }),
        ),
        (
            "relay_disconnected",
            Event::RelayDisconnected(RelayDisconnected {
                relay_id: "relay-2".into(),
                address: None,
                timestamp: NOW,
                connection_id: "conn-5".into(),
            }),
        ),
        ("tweaks", Event::Tweaks(tweaks(vec![tx(false)], 1, 1, false))),
        ("tweaks-part", Event::Tweaks(tweaks(vec![tx(true)], 1, 2, true))),
        ("tweaks-none", Event::Tweaks(tweaks(Vec::new(), 1, 1, false))),
        (
            "payment_confirmed",
            Event::PaymentConfirmed(Box::new(payment_of_a_watch())),
        ),
        ("payment_spent", Event::PaymentSpent(Box::new(spent()))),
        (
            "payment_spent_reverted",
            Event::PaymentSpentReverted(Box::new(spent_of_a_watch())),
        ),
    ]
}

fn reports() -> [(SyncType, SyncPayload); 3] {
    let state = StateReport {
        uptime: 3600,
        version: API_VERSION.into(),
        network: "signet".into(),
        status: "healthy".into(),
        last_block: Some(12_345),
        connections: 5,
        known_relays: 3,
        mesh_connections: 6,
        software_version: "0.1.0".into(),
    };
    let health = HealthReport {
        status: "degraded".into(),
        memory_usage: Some("128MB".into()),
        cpu_usage: Some("5%".into()),
        disk_usage: Some("2GB".into()),
        network_latency: None,
        error_count: 1,
        last_error: Some("node: connection refused".into()),
        memory_bytes: Some(128_000_000),
        cpu_percent: Some(5.25),
        disk_bytes: Some(2_000_000_000),
    };
    let metrics = MetricsReport {
        known_relays: 3,
        mesh_connections: 6,
        sync_requests: 10,
        sync_responses: 9,
        cache_hits: 4,
        cache_misses: 6,
        avg_latency: Some(1.5),
        error_count: 1,
        success_rate: None,
        messages_per_second: 0.25,
    };
    [
        (
            SyncType::StateSync,
            SyncPayload::State(StatePayload { state, gossip: None }),
        ),
        (SyncType::HealthSync, SyncPayload::Health(HealthPayload { health })),
        (SyncType::MetricsSync, SyncPayload::Metrics(MetricsPayload { metrics })),
    ]
}

fn syncs() -> Vec<(String, ServerMessage)> {
    let mut list = Vec::new();
    for (sync_type, payload) in reports() {
        let relay_id = || "relay-1".to_owned();
        let message_id = || "msg-1".to_owned();
        let sync = SyncMessage {
            sync_type,
            relay_id: relay_id(),
            payload: payload.clone(),
            timestamp: NOW,
            message_id: message_id(),
        };
        let response = SyncResponse {
            sync_type,
            relay_id: relay_id(),
            payload,
            timestamp: NOW,
            message_id: message_id(),
            in_reply_to: "msg-0".into(),
        };
        list.push((format!("sync-{sync_type:?}"), ServerMessage::Sync(sync)));
        list.push((
            format!("sync_response-{sync_type:?}"),
            ServerMessage::SyncResponse(response),
        ));
    }
    let [(sync_type, mut payload), ..] = reports();
    if let SyncPayload::State(state) = &mut payload {
        state.gossip = Some(Box::new(gossip()));
    }
    let link = SyncMessage {
        sync_type,
        relay_id: "relay-1".into(),
        payload,
        timestamp: NOW,
        message_id: "msg-1".into(),
    };
    list.push(("sync-link".into(), ServerMessage::Sync(link)));
    list
}

fn answers() -> Vec<(String, ServerMessage)> {
    let accepted = HandshakeResponse {
        status: HandshakeStatus::Accepted,
        relay_id: "relay-1".into(),
        version: API_VERSION.into(),
        capabilities: vec!["notifications".into()],
        timestamp: NOW,
        reason: None,
        connection_id: Some("conn-1".into()),
        network: "signet".into(),
        last_event_id: 7,
        silent_payment_address: Some("tsp1q".into()),
        software_version: "0.1.0".into(),
        resume: None,
        resumed_after: None,
        mac: None,
        relays: Vec::new(),
        unknown_capabilities: Vec::new(),
    };
    let resumed = HandshakeResponse {
        resume: Some(Resume::Complete),
        resumed_after: Some(5),
        mac: Some("ff".into()),
        relays: vec![OtherRelay {
            relay_id: "relay-2".into(),
            url: "ws://relay-2.example.com:8090".into(),
        }],
        unknown_capabilities: vec!["weather".into()],
        ..accepted.clone()
    };
    let rejected = HandshakeResponse {
        status: HandshakeStatus::Rejected,
        reason: Some("version: expected 1.x".into()),
        connection_id: None,
        silent_payment_address: None,
        ..accepted.clone()
    };
    let topics = |status: &str, subscriptions| SubscribeResponse {
        status: status.into(),
        subscriptions,
        relay_id: "relay-1".into(),
        timestamp: NOW,
    };
    let missing = MissingBlocks {
        from: 1,
        to: 2,
        reason: MissingReason::Pruned,
    };
    let watching = WatchResponse {
        status: "watching".into(),
        watch_id: "watch-1".into(),
        address: "sp1q".into(),
        history: None,
        from_height: None,
        start_height: None,
        missing: Vec::new(),
        watch_token: None,
        in_reply_to: None,
        timestamp: NOW,
    };
    let with_history = WatchResponse {
        history: Some(HistoryState::Scanning),
        from_height: Some(1),
        start_height: Some(3),
        missing: vec![missing],
        watch_token: Some(SecretHex::new("aa".repeat(32))),
        in_reply_to: Some("msg-1".into()),
        ..watching.clone()
    };
    let progress = |progress, missing| WatchProgress {
        watch_id: "watch-1".into(),
        progress,
        height: 800_000,
        missing,
        timestamp: NOW,
    };
    let attached = AttachResponse {
        status: "attached".into(),
        watch_id: "watch-1".into(),
        first_watch_seq: None,
        last_watch_seq: 0,
        history: HistoryState::None,
        height: None,
        in_reply_to: None,
        timestamp: NOW,
    };
    let attached_full = AttachResponse {
        first_watch_seq: Some(3),
        last_watch_seq: 7,
        history: HistoryState::Scanning,
        height: Some(800_000),
        in_reply_to: Some("msg-1".into()),
        ..attached.clone()
    };
    let gap = WatchGap {
        watch_id: "watch-1".into(),
        first_watch_seq: 4,
        last_watch_seq: 6,
        from_height: 800_000,
        timestamp: NOW,
    };
    let ended = WatchEnded {
        watch_id: "watch-1".into(),
        reason: EndReason::AttachedElsewhere,
        timestamp: NOW,
    };
    let unwatched = |in_reply_to| UnwatchResponse {
        status: "unwatched".into(),
        watch_id: "watch-1".into(),
        in_reply_to,
        timestamp: NOW,
    };
    let challenge = RelayChallenge {
        relay_id: "relay-1".into(),
        public_key: "cc".into(),
        nonce: "dd".into(),
        signature: "ee".into(),
        timestamp: NOW,
    };
    let pong = Pong {
        relay_id: "relay-1".into(),
        timestamp: NOW,
    };
    [
        ("handshake_response", ServerMessage::HandshakeResponse(accepted)),
        ("handshake_response-full", ServerMessage::HandshakeResponse(resumed)),
        (
            "handshake_response-rejected",
            ServerMessage::HandshakeResponse(rejected),
        ),
        ("relay_challenge", ServerMessage::RelayChallenge(challenge)),
        ("pong", ServerMessage::Pong(pong)),
        (
            "subscribe_response",
            ServerMessage::SubscribeResponse(topics("subscribed", Topic::ALL.to_vec())),
        ),
        (
            "unsubscribe_response",
            ServerMessage::UnsubscribeResponse(topics("unsubscribed", Vec::new())),
        ),
        ("watch_response", ServerMessage::WatchResponse(watching)),
        ("watch_response-full", ServerMessage::WatchResponse(with_history)),
        (
            "watch_progress",
            ServerMessage::WatchProgress(progress(0.5, Vec::new())),
        ),
        (
            "watch_progress-full",
            ServerMessage::WatchProgress(progress(1.0, vec![missing])),
        ),
        ("unwatch_response", ServerMessage::UnwatchResponse(unwatched(None))),
        (
            "unwatch_response-full",
            ServerMessage::UnwatchResponse(unwatched(Some("msg-1".into()))),
        ),
        ("attach_response", ServerMessage::AttachResponse(attached)),
        ("attach_response-full", ServerMessage::AttachResponse(attached_full)),
        ("watch_gap", ServerMessage::WatchGap(gap)),
        ("watch_ended", ServerMessage::WatchEnded(ended)),
    ]
    .map(|(name, message)| (name.to_owned(), message))
    .to_vec()
}

fn errors() -> Vec<(String, ServerMessage)> {
    let codes = super::names_of::<ErrorCode>();
    let error = |name: String| {
        let code: ErrorCode = serde_json::from_value(name.clone().into()).unwrap();
        let message = ServerMessage::Error(ErrorMessage {
            code,
            message: "watch: labels: expected at most 1000".into(),
            in_reply_to: (code == ErrorCode::InvalidField).then(|| "msg-1".into()),
            timestamp: NOW,
        });
        (format!("error-{name}"), message)
    };
    codes.into_iter().map(error).collect()
}

fn messages() -> Vec<(String, ServerMessage)> {
    let mut list = answers();
    list.extend(syncs());
    list.extend(errors());
    for (at, (name, event)) in (1..).zip(events()) {
        let of_a_watch = event.watch_id().is_some();
        let notification = Notification {
            event,
            timestamp: NOW,
            event_id: (!of_a_watch).then_some(at),
            watch_seq: None,
        };
        if of_a_watch {
            let numbered = Notification {
                watch_seq: Some(at),
                ..notification.clone()
            };
            list.push((
                format!("notification-{name}-detached"),
                ServerMessage::Notification(numbered),
            ));
        }
        list.push((
            format!("notification-{name}"),
            ServerMessage::Notification(notification),
        ));
    }
    list
}

pub(super) fn samples() -> Vec<Sample> {
    let sample = |(name, message): (String, ServerMessage)| Sample::new("server", &name, &message);
    messages().into_iter().map(sample).collect()
}

#[test]
fn every_message_of_a_relay() {
    for sample in samples() {
        sample.assert();
    }
    super::assert_every_tag::<ServerMessage, _>("type", messages().iter().map(|(_, message)| message));
    super::assert_every_tag::<Event, _>("notification_type", events().iter().map(|(_, event)| event));
}

#[test]
fn clients_read_what_the_types_write() {
    for (name, message) in messages() {
        let text = encode_text(&message).unwrap();
        assert_eq!(serde_json::from_str::<ServerMessage>(&text).unwrap(), message, "{name}");
    }
}
