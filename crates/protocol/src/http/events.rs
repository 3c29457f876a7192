//! `GET /events`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An event of the stream, with its fields as in WHATWG HTML, "Server-sent events".
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": "22",
    "data": "{\"type\":\"notification\",\"notification_type\":\"relay_disconnected\",\"data\":{\"relay_id\":\"relay-4\",\"address\":\"relay-4.example.com:8090\",\"timestamp\":1703001800,\"connection_id\":\"conn-456\"},\"timestamp\":1703001800,\"event_id\":22}"
})))]
pub struct StreamedEvent {
    /// `event_id` of the notification. To resume, send the last one as `Last-Event-ID`; browsers do so by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[0-9]+$")]
    pub id: Option<String>,
    /// `gap` if some of the missed events are no longer retained; it comes first. Other events have no name, and so
    /// are `message` events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^(gap|message)$")]
    pub event: Option<String>,
    /// The notification, as over the WebSocket; `{}` for `gap`.
    pub data: String,
}

/// The answer of `GET /events/poll`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "events": [{
        "type": "notification", "notification_type": "relay_disconnected",
        "data": {"relay_id": "relay-4", "address": "relay-4.example.com:8090", "timestamp": 1_703_001_800, "connection_id": "conn-456"},
        "timestamp": 1_703_001_800, "event_id": 22
    }],
    "last_event_id": 22,
    "gap": false,
    "timestamp": 1_703_001_801
})))]
pub struct PolledEvents {
    /// The next notifications, as over the WebSocket; empty if there was none within `wait`.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<serde_json::Value>,
    /// What to send as `after` next. It can be above the last of `events`: ids are shared with other topics.
    pub last_event_id: u64,
    /// Whether some of the events after `after` are no longer retained, or `after` is of another log.
    pub gap: bool,
    /// Time of the answer, Unix seconds.
    pub timestamp: u64,
}
