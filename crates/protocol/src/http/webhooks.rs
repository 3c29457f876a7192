//! `/webhooks`: the endpoints that the relay posts events to.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Types of the events that a webhook can get, in the order of the documentation. Each is the `notification_type` with
/// a dot after the first word.
pub const WEBHOOK_TYPES: [&str; 9] = [
    "payment.detected",
    "payment.confirmed",
    "payment.reverted",
    "payment.spent",
    "payment.spent_reverted",
    "block.mined",
    "block.disconnected",
    "relay.connected",
    "relay.disconnected",
];

/// `GET /webhooks`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "webhooks": [{
        "name": "shop", "url": "https://shop.example.com/…", "state": "failing", "events": ["payment.detected", "payment.reverted"],
        "signatures": ["v1", "v1a"], "public_keys": ["whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="],
        "after_event": 4711, "lag": 3, "deliveries": 120, "failures": 2, "last_delivery": 1703001000,
        "recent_failures": [{
            "webhook_id": "evt_5b1d0a3c9e7f2468_4712_9f86d081", "event_id": 4712, "attempts": 2, "first_attempt": 1703001500,
            "last_attempt": 1703001590, "status": 500, "error": "the endpoint answered with status 500"
        }],
        "failing_since": 1703001500, "next_attempt": 1703001710, "disabled": null,
        "replay": {"next": 4000, "to": 4010, "requested": 1703001200}
    }],
    "newest_event": 4714, "timestamp": 1703001600
})))]
pub struct WebhookList {
    /// The configured webhooks, by name.
    pub webhooks: Vec<Webhook>,
    /// Id of the newest event of the log.
    pub newest_event: u64,
    /// Unix seconds.
    pub timestamp: u64,
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Webhook {
    /// Its name in the configuration.
    #[schema(pattern = "^[a-z0-9_-]{1,32}$")]
    pub name: String,
    /// Its URL without path and query, which may hold a secret.
    pub url: String,
    /// Its state.
    pub state: WebhookState,
    /// Types of the events that it gets.
    pub events: Vec<String>,
    /// Kinds of its signatures, one for each secret: `v1` (HMAC-SHA256), `v1a` (ed25519).
    pub signatures: Vec<String>,
    /// Public keys of the signatures `v1a`, as `whpk_…`.
    pub public_keys: Vec<String>,
    /// Each event of the log up to this one was delivered, or is not of its types.
    pub after_event: u64,
    /// Events of the log after it, of all types.
    pub lag: u64,
    /// Successful deliveries since the start of the relay.
    pub deliveries: u64,
    /// Failed attempts since the start of the relay.
    pub failures: u64,
    /// Unix second of the newest delivery since the start.
    #[schema(required)]
    pub last_delivery: Option<u64>,
    /// The messages that have failed since the start, at most 10, the newest failure first. While it is `failing`, the
    /// first one is tried again.
    pub recent_failures: Vec<WebhookFailure>,
    /// Unix second since which every attempt has failed; `null` unless `failing`.
    #[schema(required)]
    pub failing_since: Option<u64>,
    /// Unix second of the next attempt; `null` unless `failing`.
    #[schema(required)]
    pub next_attempt: Option<u64>,
    /// Why it is disabled; `null` unless it is.
    #[schema(required)]
    pub disabled: Option<WebhookDisabled>,
    /// The events that are still to be sent again.
    #[schema(required)]
    pub replay: Option<WebhookReplay>,
}

/// State of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookState {
    /// The last attempt succeeded, or there was none yet.
    Active,
    /// The endpoint has not accepted the next message; the relay tries again.
    Failing,
    /// The relay tries no more, until `POST /webhooks/{name}/enable`.
    Disabled,
}

/// A message that has failed.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct WebhookFailure {
    /// `webhook-id` of the message.
    pub webhook_id: String,
    /// The event that it is about; `null` for a message of type `gap`.
    #[schema(required)]
    pub event_id: Option<u64>,
    /// Failed attempts since the start of the relay.
    pub attempts: u32,
    /// Unix second of the first.
    pub first_attempt: u64,
    /// Unix second of the last.
    pub last_attempt: u64,
    /// Status of the last answer; `null` without an answer.
    #[schema(required)]
    pub status: Option<u16>,
    /// What happened last.
    pub error: String,
}

/// Why and when a webhook was disabled.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct WebhookDisabled {
    /// Unix seconds.
    pub since: u64,
    /// The reason.
    pub reason: String,
}

/// Events that are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct WebhookReplay {
    /// The first that is still to be sent.
    pub next: u64,
    /// The last.
    pub to: u64,
    /// Unix second of the request.
    pub requested: u64,
}

/// `POST /webhooks/{name}/test`: what came of a test message.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "delivered": true, "webhook_id": "evt_test_5b1d0a3c9e7f2468", "status": 204, "error": null, "duration_ms": 41, "timestamp": 1703001600
})))]
pub struct WebhookTest {
    /// Whether the endpoint answered with a status from 200 to 299.
    pub delivered: bool,
    /// `webhook-id` of the message.
    pub webhook_id: String,
    /// The status of the answer; `null` without an answer.
    #[schema(required)]
    pub status: Option<u16>,
    /// Why it was not delivered.
    #[schema(required)]
    pub error: Option<String>,
    /// Milliseconds until the answer, or until the attempt failed.
    pub duration_ms: u64,
    /// Unix seconds.
    pub timestamp: u64,
}

/// Body of `POST /webhooks/{name}/replay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({"from_event": 4000, "to_event": 4010})))]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// The first event to send again.
    pub from_event: u64,
    /// The last; without it, only the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub to_event: Option<u64>,
}

/// Body of `POST /webhooks/{name}/enable`, which may be omitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({"after_event": 4712})))]
#[serde(deny_unknown_fields)]
pub struct EnableRequest {
    /// Continues after this event, and skips those before it. Without it, the relay continues where it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub after_event: Option<u64>,
}

/// `POST /webhooks/{name}/enable`, `…/replay` and `…/replay/cancel`: the webhook after the change.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "webhook": {
        "name": "shop", "url": "https://shop.example.com/…", "state": "active", "events": ["payment.detected"],
        "signatures": ["v1"], "public_keys": [], "after_event": 4712, "lag": 2, "deliveries": 120, "failures": 2,
        "last_delivery": null, "recent_failures": [], "failing_since": null, "next_attempt": null, "disabled": null, "replay": null
    },
    "timestamp": 1703001600
})))]
pub struct WebhookChanged {
    /// The webhook.
    pub webhook: Webhook,
    /// Unix seconds.
    pub timestamp: u64,
}
