//! Clients that are relays.

use serde_json::{Value, json};

use crate::wire::json::Json;
use crate::wire::reference::Reference;
use crate::wire::{DEADLINE, Wire, get, handshake, start};

fn relay_handshake(relay_id: &str) -> Value {
    let mut message = handshake(&["sync", "notifications"]);
    message["role"] = json!("relay");
    message["relay_id"] = json!(relay_id);
    message["address"] = json!("relay-4.example.com:8090");
    message
}

#[tokio::test]
async fn connects_and_disconnects_of_relays_are_reported() {
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &["notifications"]).await;
    let (mut guest, response) = Wire::connect_with(&relay.ws_url(), relay_handshake("relay-4")).await;
    assert_eq!(response["status"], "accepted");

    let text = wire.receive_text().await;
    assert_eq!(
        Json::parse(&text).keys(),
        ["type", "notification_type", "data", "timestamp", "event_id"]
    );
    let came: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&came["notification_type"], &came["event_id"]),
        (&json!("relay_connected"), &json!(1))
    );
    for (field, value) in [
        ("relay_id", json!("relay-4")),
        ("address", json!("relay-4.example.com:8090")),
        ("version", json!("1.0.0")),
        ("capabilities", json!(["sync", "notifications"])),
        ("connection_id", response["connection_id"].clone()),
    ] {
        assert_eq!(came["data"][field], value, "{field}");
    }
    let figures = get(&relay, "/metrics").await["sync_metrics"].clone();
    assert_eq!(
        (&figures["known_relays"], &figures["mesh_connections"]),
        (&json!(1), &json!(0)),
        "it has not proven that it is a relay"
    );

    guest.raw.send_close(1000).await.unwrap();
    let gone = wire.receive().await;
    assert_eq!(
        (&gone["notification_type"], &gone["event_id"]),
        (&json!("relay_disconnected"), &json!(2))
    );
    assert_eq!(gone["data"]["relay_id"], "relay-4");
    assert_eq!(gone["data"]["connection_id"], response["connection_id"]);
    testkit::eventually(DEADLINE, "no link", async || {
        let figures = get(&relay, "/metrics").await["sync_metrics"].clone();
        (figures["known_relays"] == 1 && figures["mesh_connections"] == 0).then_some(())
    })
    .await;

    // Both are events of the log: a client that was disconnected receives them.
    let mut later = handshake(&["notifications"]);
    later["resume_from"] = json!(0);
    let (mut late, response) = Wire::connect_with(&relay.ws_url(), later).await;
    assert_eq!(
        (&response["resume"], &response["last_event_id"]),
        (&json!("complete"), &json!(2))
    );
    assert_eq!(late.receive().await, came);
    assert_eq!(late.receive().await, gone);
}

#[tokio::test]
async fn without_an_address_the_peer_address_is_reported() {
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &["notifications"]).await;
    let mut message = relay_handshake("relay-5");
    message.as_object_mut().unwrap().remove("address");
    let _guest = Wire::connect_with(&relay.ws_url(), message).await;
    let came = wire.receive().await;
    assert!(
        came["data"]["address"].as_str().unwrap().starts_with("127.0.0.1:"),
        "{came}"
    );
}

/// Clients fail over to the addresses of relays: no client must be sent to its own machine, or to a network that this
/// relay does not dial.
#[tokio::test]
async fn an_address_that_this_relay_would_not_dial_is_not_announced() {
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &["notifications"]).await;
    for (n, (claimed, passed_on)) in [
        ("127.0.0.1:8332", false),
        ("[::1]:8332", false),
        ("0.0.0.0:8090", false),
        ("169.254.169.254:80", false),
        ("10.0.0.1:8090", false),
        ("localhost:8332", false),
        ("no-address", false),
        ("1.2.3.4:8090", true),
        ("relay-4.example.com:8090", true),
    ]
    .into_iter()
    .enumerate()
    {
        let mut message = relay_handshake(&format!("claims-{n}"));
        message["address"] = json!(claimed);
        let (_guest, response) = Wire::connect_with(&relay.ws_url(), message).await;
        let came = loop {
            let received = wire.receive().await;
            let is_its_own = received["data"]["connection_id"] == response["connection_id"];
            if is_its_own && received["notification_type"] == "relay_connected" {
                break received;
            }
        };
        let expected = if passed_on { json!(claimed) } else { Value::Null };
        assert_eq!(came["data"]["address"], expected, "{claimed}");
    }
}

#[tokio::test]
async fn it_has_the_shape_of_the_reference() {
    let Some(reference) = Reference::open() else {
        return;
    };
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &["notifications"]).await;
    let _guest = Wire::connect_with(&relay.ws_url(), relay_handshake("relay-4")).await;
    let sample = reference.message("Message Relay Connected");
    reference.check("relay_connected", sample, &wire.receive_text().await, &[]);
}

#[tokio::test]
async fn the_reports_of_a_storm_of_relays_are_bounded() {
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &["notifications"]).await;
    for n in 0..40 {
        let (mut guest, _) = Wire::connect_with(&relay.ws_url(), relay_handshake(&format!("storm-{n}"))).await;
        guest.raw.send_close(1000).await.unwrap();
        guest.closed().await;
    }
    let head = Wire::connect_with(&relay.ws_url(), handshake(&[])).await.1["last_event_id"]
        .as_u64()
        .unwrap();
    assert!(
        head <= 44,
        "20 comings and goings at once, and one per half a minute: {head}"
    );
    assert_eq!(wire.notification().await["event_id"], 1);
}
