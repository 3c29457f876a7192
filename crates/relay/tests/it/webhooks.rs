//! Webhooks: a relay, and endpoints that accept, fail, hang and are verified by the libraries of Standard Webhooks.

mod deliveries;
mod kills;
pub(crate) mod receiver;
mod requests;
mod verifiers;

use serde_json::Value;
use testkit::{RelayOptions, RelayProcess, eventually};

use crate::impatient;
use crate::wire::{DEADLINE, Wire, get};

/// `whsec_` and 32 bytes.
pub(crate) const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A relay on its embedded chain that posts all events to this URL, as the webhook `shop`.
fn posting_to(url: &str) -> RelayOptions {
    with_webhook(impatient::with_webhooks().fixed_ports(), "SHOP", url)
}

/// With one more webhook.
pub(crate) fn with_webhook(options: RelayOptions, name: &str, url: &str) -> RelayOptions {
    let key = |setting: &str| format!("WEBHOOKS__{name}__{setting}");
    options
        .set(&key("URL"), url)
        .set(&key("SECRET"), SECRET)
        .set(&key("EVENTS"), "payment.*,block.*,relay.*")
}

/// What `GET /webhooks` shows of one.
async fn shown(relay: &RelayProcess, name: &str) -> Value {
    let list = get(relay, "/webhooks").await;
    let all = list["webhooks"].as_array().unwrap_or_else(|| panic!("{list}"));
    let found = all.iter().find(|webhook| webhook["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list}")).clone()
}

/// Waits until the events of all blocks are logged: a block is there before its events.
async fn until_logged(relay: &RelayProcess) {
    let tip = get(relay, "/bitcoin/info").await["blockchain_info"]["blocks"].clone();
    assert!(tip.is_u64(), "{tip}");
    eventually(DEADLINE, "the events of all blocks", async || {
        (get(relay, "/metrics").await["relay_metrics"]["tip_height"] == tip).then_some(())
    })
    .await;
}

/// Waits until the events of all blocks are delivered.
async fn until_delivered(relay: &RelayProcess, name: &str) {
    until_logged(relay).await;
    eventually(DEADLINE, "no event waits", async || {
        let shown = shown(relay, name).await;
        (shown["lag"] == 0 && shown["state"] == "active").then_some(())
    })
    .await;
}

/// All events of the topic `notifications` after this one, as a WebSocket client gets them.
async fn logged_after(relay: &RelayProcess, after: u64) -> Vec<Value> {
    let newest = get(relay, "/webhooks").await["newest_event"].as_u64().unwrap();
    let mut handshake = crate::wire::handshake(&["notifications"]);
    handshake["resume_from"] = after.into();
    let (mut wire, response) = Wire::connect_with(&relay.ws_url(), handshake).await;
    assert_eq!(response["resume"], "complete", "{response}");
    let mut events = Vec::new();
    // The newest event may be on the topic `tweaks`: a marker is the end.
    let end = crate::wire::mine(relay, 1).await.pop().expect("a block");
    loop {
        let event = wire.notification().await;
        if event["data"]["block_hash"] == end.as_str() && event["notification_type"] == "block_mined" {
            return events;
        }
        assert!(event["event_id"].as_u64().is_some_and(|id| id <= newest), "{event}");
        events.push(event);
    }
}
