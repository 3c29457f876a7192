//! The messages of the WebSocket API.

use bitcoin::Amount;
use serde_json::{Value, json};
use testkit::{InputKind, Recipient};

use crate::samples::scene::Scene;
use crate::wire::Wire;

/// Fields that are unknown on a relay without links.
const ALONE: [&str; 3] = [
    "payload.health.network_latency",
    "payload.metrics.avg_latency",
    "payload.metrics.success_rate",
];

pub(crate) async fn hold(scene: &mut Scene<'_>) {
    let mut client = Wire::open(&scene.relay.ws_url()).await;
    let handshake = scene.request("Message de Handshake");
    client.send(handshake).await;
    scene.hold("Réponse de Handshake", &client.receive_text().await, &[], &[]);
    // The topics `sync` and `health` of the handshake cause one report each immediately.
    scene.hold(
        "Message HealthSync",
        &report(&mut client, "HealthSync").await,
        &ALONE,
        &[],
    );
    scene.hold("Message StateSync", &report(&mut client, "StateSync").await, &[], &[]);

    let ping = scene.request("Message Ping");
    client.send(ping).await;
    scene.hold("Message Pong", &client.answer_text().await, &[], &[]);
    let subscribe = scene.request("Message Subscribe");
    client.send(subscribe).await;
    scene.hold("Réponse Subscribe", &client.answer_text().await, &[], &[]);
    scene.hold(
        "Message MetricsSync",
        &report(&mut client, "MetricsSync").await,
        &ALONE,
        &[],
    );
    let unsubscribe = scene.request("Message Unsubscribe");
    client.send(unsubscribe).await;
    scene.hold("Réponse Unsubscribe", &client.answer_text().await, &[], &[]);

    for sync_type in ["StateSync", "HealthSync", "MetricsSync"] {
        // In the reference, relay 1 sends the request to relay 2; here relay 1 receives it.
        let mut request: Value = serde_json::from_str(&scene.sample(&format!("Message {sync_type}")).text).unwrap();
        request["relay_id"] = json!("relay-2");
        client.send(request).await;
        let answer = client.answer_text().await;
        scene.hold(&format!("Réponse {sync_type}"), &answer, &ALONE, &[]);
    }
    notifications(scene, &mut client).await;
}

async fn notifications(scene: &mut Scene<'_>, client: &mut Wire) {
    let config = testkit::http_get(&format!("{}/config", scene.relay.http_url()))
        .await
        .json();
    let own = config["silent_payment_address"].as_str().unwrap().parse().unwrap();
    let tx = scene.payer.pay(
        &[InputKind::P2wpkh],
        &[Recipient::Silent(own, Amount::from_sat(100_000))],
    );
    scene.node.send_raw(&tx).await;
    // An unconfirmed payment has no block; the sample is confirmed.
    let waiting = notification(client, "payment_detected", |data| data["confirmations"] == 0).await;
    scene.hold(
        "Message Payment Detected",
        &waiting,
        &["data.block_height", "data.block_hash"],
        &[],
    );
    scene.node.mine(1).await;
    scene.hold(
        "Message Block Mined",
        &notification(client, "block_mined", |_| true).await,
        &[],
        &[],
    );
    let confirmed = notification(client, "payment_detected", |data| data["confirmations"] == 1).await;
    scene.hold("Message Payment Detected", &confirmed, &[], &[]);

    let relay = json!({
        "type": "handshake", "client_id": "relay-4", "version": "1.0.0", "capabilities": ["sync", "notifications"], "role": "relay",
        "relay_id": "relay-4", "address": "relay-4.example.com:8090"
    });
    let (_relay, _) = Wire::connect_with(&scene.relay.ws_url(), relay).await;
    let connected = notification(client, "relay_connected", |_| true).await;
    scene.hold("Message Relay Connected", &connected, &[], &[]);
}

/// The next report of this type, unparsed.
async fn report(client: &mut Wire, sync_type: &str) -> String {
    next(client, |message| {
        message["type"] == "sync" && message["sync_type"] == sync_type
    })
    .await
}

/// The next notification of this type whose data match, unparsed.
async fn notification(client: &mut Wire, kind: &str, wanted: impl Fn(&Value) -> bool) -> String {
    next(client, |message| {
        message["notification_type"] == kind && wanted(&message["data"])
    })
    .await
}

async fn next(client: &mut Wire, wanted: impl Fn(&Value) -> bool) -> String {
    loop {
        let text = client.receive_text().await;
        if wanted(&serde_json::from_str(&text).unwrap()) {
            return text;
        }
    }
}
