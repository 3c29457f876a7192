//! `GET /events`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An event of the stream, by the fields of its lines (WHATWG HTML, "Server-sent events").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": "22",
    "data": "{\"type\":\"notification\",\"notification_type\":\"relay_disconnected\",\"data\":{\"relay_id\":\"relay-4\",\"address\":\"relay-4.example.com:8090\",\"timestamp\":1703001800,\"connection_id\":\"conn-456\"},\"timestamp\":1703001800,\"event_id\":22}"
})))]
pub struct StreamedEvent {
    /// The notification's `event_id`. A client that comes back sends the last one as `Last-Event-ID`; browsers do so by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[0-9]+$")]
    pub id: Option<String>,
    /// `gap`, where what was missed is no longer retained; it comes first. Others have no name, which makes them a `message`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^(gap|message)$")]
    pub event: Option<String>,
    /// The notification as on the WebSocket; of `gap`: `{}`.
    pub data: String,
}
