//! Detached watches: they go on when their connection ends, until a client attaches to them again.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{HistoryState, SecretHex};

/// `attach`, from the client: takes a detached watch over to this connection, and releases its matches up to `after`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Attach {
    /// As in the `watch_response`.
    pub watch_id: String,
    /// As in the `watch_response`: 32 bytes in lower-case hex.
    pub watch_token: SecretHex,
    /// The last `watch_seq` that the app has stored; 0 if it has none. The relay forgets the matches up to it, and
    /// sends those after it.
    #[serde(default)]
    pub after: u64,
    /// Returned as `in_reply_to`; at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}

/// `attach_response`, to the client. The matches after `after` follow, and then new ones.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct AttachResponse {
    /// `attached`.
    pub status: String,
    /// Id of the watch.
    pub watch_id: String,
    /// First `watch_seq` that is not released; `null` if all matches are.
    #[schema(required)]
    pub first_watch_seq: Option<u64>,
    /// `watch_seq` of the newest match; 0 before the first.
    pub last_watch_seq: u64,
    /// State of the history of the watch.
    pub history: HistoryState,
    /// All blocks up to this one are scanned, from the first block of the history on. `null` before the relay has its
    /// first block, and before the first block of the history is scanned.
    #[schema(required)]
    pub height: Option<u32>,
    /// `message_id` of the request.
    #[schema(required)]
    pub in_reply_to: Option<String>,
    /// Unix seconds.
    pub timestamp: u64,
}

/// `watch_gap`, to the client: matches of a detached watch were found while its buffer was full, and are lost.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct WatchGap {
    /// As in the `watch_response`.
    pub watch_id: String,
    /// `watch_seq` of the first lost match.
    pub first_watch_seq: u64,
    /// `watch_seq` of the last lost match.
    pub last_watch_seq: u64,
    /// A watch of the same keys with this `from_height` finds the lost matches again.
    pub from_height: u32,
    /// Unix seconds.
    pub timestamp: u64,
}

/// `watch_ended`, to the client: no further message about this watch follows on this connection.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct WatchEnded {
    /// As in the `watch_response`.
    pub watch_id: String,
    /// Why.
    pub reason: EndReason,
    /// Unix seconds.
    pub timestamp: u64,
}

/// Why a detached watch has ended, or is no longer attached to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Another connection has attached to the watch, which goes on there.
    AttachedElsewhere,
    /// Nobody has attached to it for as long as it asked for.
    Expired,
    /// `unwatch`, or `DELETE /watches/{watch_id}`.
    Unwatched,
    /// The relay stops or restarts.
    RelayStopped,
    /// Its payments use more memory than the relay has for them.
    TooManyPayments,
    /// Its scans are too far behind.
    TooFarBehind,
    /// A scan for it failed; the log of the relay has the details.
    ScanFailed,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

impl EndReason {
    /// As in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AttachedElsewhere => "attached_elsewhere",
            Self::Expired => "expired",
            Self::Unwatched => "unwatched",
            Self::RelayStopped => "relay_stopped",
            Self::TooManyPayments => "too_many_payments",
            Self::TooFarBehind => "too_far_behind",
            Self::ScanFailed => "scan_failed",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;

    use super::*;

    #[test]
    fn every_reason_is_shown_as_it_is_on_the_wire() {
        let schema = serde_json::to_value(EndReason::schema()).unwrap();
        let names: Vec<String> = serde_json::from_value(schema["enum"].clone()).unwrap();
        assert_eq!(names.len(), 8);
        for name in names {
            let reason: EndReason = serde_json::from_value(name.clone().into()).unwrap();
            assert_eq!(reason.as_str(), name);
        }
    }

    #[test]
    fn no_token_is_shown() {
        let attach: Attach = serde_json::from_str(r#"{"watch_id":"w","watch_token":"aabbcc"}"#).unwrap();
        assert!(!format!("{attach:?}").contains("aabbcc"), "{attach:?}");
        assert_eq!((attach.after, attach.watch_token.expose()), (0, "aabbcc"));
    }
}
