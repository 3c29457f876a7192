//! `GET /timings`: how long the newest events took through the relay.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Durations of the newest events of the log, and a histogram of all since the start. Nothing here is about watches:
/// connections that have any are not measured.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "events": [{
        "first_event_id": 17, "last_event_id": 17, "notification_types": ["payment_detected"], "timestamp": 1703001600,
        "node_ms": 1.52, "detect_ms": 0.31, "log_ms": 1.87, "client_ms": 0.24, "total_ms": 3.94
    }],
    "histogram": {
        "bounds_ms": [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000],
        "counts": [0, 1, 14, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    },
    "clients_behind": 0, "timestamp": 1703001600
})))]
pub struct Timings {
    /// The newest 64, newest last. Events that one change of the node caused are committed, and listed, together.
    pub events: Vec<EventTimings>,
    /// `total_ms` of all events that a client has received since the start.
    pub histogram: TimingsHistogram,
    /// Connections to which not all events have been sent yet.
    pub clients_behind: u64,
    /// Unix seconds.
    pub timestamp: u64,
}

/// How long the events of one commit took, in milliseconds.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct EventTimings {
    /// Id of the first event.
    pub first_event_id: u64,
    /// Id of the last event.
    pub last_event_id: u64,
    /// Their types, each once, in order.
    pub notification_types: Vec<String>,
    /// Unix second of the commit.
    pub timestamp: u64,
    /// From the signal of the node, or the poll that found the change, until the relay has its transactions.
    pub node_ms: f64,
    /// Until the payments in them are known.
    pub detect_ms: f64,
    /// Until the events are on the disk.
    pub log_ms: f64,
    /// Until they are handed to the first WebSocket connection that has no watches and follows the log live; `null`
    /// before.
    #[schema(required)]
    pub client_ms: Option<f64>,
    /// Sum of all; `null` while `client_ms` is.
    #[schema(required)]
    pub total_ms: Option<f64>,
}

/// Numbers of events by their duration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct TimingsHistogram {
    /// Upper bounds in milliseconds, inclusive.
    pub bounds_ms: Vec<u64>,
    /// Number of events up to each bound that exceed the bound before it; one more than there are bounds: the last
    /// counts those beyond all.
    pub counts: Vec<u64>,
}
