//! The messages that are posted: their ids and bodies.

use std::time::{Duration, UNIX_EPOCH};

use bitcoin::hex::DisplayHex as _;
use bitcoin::secp256k1::rand::RngCore as _;
use bytes::Bytes;
use ring::digest::{SHA256, digest};
use sdk_relay_platform::{clock, random};
use sdk_relay_protocol::{EncodeError, encode};
use sdk_relay_store::{EventKind, LogEntry};
use sdk_relay_telemetry::clock::rfc3339;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::gap::Gap;

/// A message to an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    /// `webhook-id`: the same on each attempt, after a kill, and at each endpoint.
    pub(crate) id: String,
    /// JSON.
    pub(crate) body: Bytes,
}

/// Why an event has no message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MessageError {
    #[error("its text is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// The parts of a logged notification that a message has too.
#[derive(Deserialize)]
struct Logged<'a> {
    timestamp: u64,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Serialize)]
struct Body<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    /// RFC 3339.
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<u64>,
    data: T,
}

#[derive(Serialize)]
struct GapData<'a> {
    after_event: u64,
    next_event: u64,
    reason: &'a str,
}

#[derive(Serialize)]
struct TestData<'a> {
    webhook: &'a str,
}

/// The type of an event, of [`WEBHOOK_TYPES`](sdk_relay_protocol::http::WEBHOOK_TYPES). `None` for those that no
/// webhook gets: tweaks, which exceed the size of a message, and unknown ones.
pub(crate) fn type_of(kind: EventKind) -> Option<&'static str> {
    match kind {
        EventKind::PaymentDetected => Some("payment.detected"),
        EventKind::PaymentConfirmed => Some("payment.confirmed"),
        EventKind::PaymentReverted => Some("payment.reverted"),
        EventKind::PaymentSpent => Some("payment.spent"),
        EventKind::PaymentSpentReverted => Some("payment.spent_reverted"),
        EventKind::BlockMined => Some("block.mined"),
        EventKind::BlockDisconnected => Some("block.disconnected"),
        EventKind::RelayConnected => Some("relay.connected"),
        EventKind::RelayDisconnected => Some("relay.disconnected"),
        EventKind::Tweaks | EventKind::TweaksInParts | EventKind::Unknown => None,
    }
}

/// A random id in hex, of 64 bits.
pub(crate) fn random_id() -> String {
    let mut bytes = [0; 8];
    random::rng().fill_bytes(&mut bytes);
    bytes.to_lower_hex_string()
}

impl Message {
    /// An event of the log with this id. Its `data` is that of the notification, unchanged. Its id has a part of the
    /// hash of the notification: after an older log was restored, other events get the same numbers, and an endpoint
    /// would take them for those that it knows.
    ///
    /// # Errors
    /// The payload of the entry is no notification.
    pub(crate) fn of_event(log_id: &str, kind: &str, entry: &LogEntry) -> Result<Self, MessageError> {
        let logged: Logged<'_> = serde_json::from_slice(&entry.payload)?;
        let body = Body {
            kind,
            timestamp: rfc3339(UNIX_EPOCH + Duration::from_secs(logged.timestamp)),
            event_id: Some(entry.id),
            data: logged.data,
        };
        Ok(Self {
            id: format!("evt_{log_id}_{}_{}", entry.id, short_hash(&entry.payload)),
            body: encode_body(&body)?,
        })
    }

    /// Some events, or some blocks, are missing.
    pub(crate) fn gap(log_id: &str, gap: &Gap) -> Result<Self, EncodeError> {
        let body = Body {
            kind: "gap",
            timestamp: rfc3339(UNIX_EPOCH + Duration::from_secs(gap.noticed)),
            event_id: None,
            data: GapData {
                after_event: gap.after,
                next_event: gap.next,
                reason: gap.reason.as_str(),
            },
        };
        Ok(Self {
            id: format!("evt_{log_id}_gap_{}_{}_{}", gap.after, gap.next, gap.noticed),
            body: encode_body(&body)?,
        })
    }

    /// A message that only tests an endpoint.
    pub(crate) fn test(webhook: &str) -> Result<Self, EncodeError> {
        let body = Body {
            kind: "test",
            timestamp: rfc3339(clock::now()),
            event_id: None,
            data: TestData { webhook },
        };
        Ok(Self {
            id: format!("evt_test_{}", random_id()),
            body: encode_body(&body)?,
        })
    }
}

/// The first 32 bits of SHA-256, in hex.
fn short_hash(bytes: &[u8]) -> String {
    let hash = digest(&SHA256, bytes);
    hash.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn encode_body<T: Serialize>(body: &T) -> Result<Bytes, EncodeError> {
    encode(body).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use sdk_relay_protocol::Topic;
    use sdk_relay_protocol::http::WEBHOOK_TYPES;

    use super::*;
    use crate::gap::Reason;

    fn text(message: &Message) -> &str {
        std::str::from_utf8(&message.body).unwrap()
    }

    #[test]
    fn each_type_is_that_of_a_kind_with_a_dot() {
        for kind in EventKind::ALL {
            let expected = kind.as_str().replacen('_', ".", 1);
            match type_of(kind) {
                Some(found) => assert!(found == expected && WEBHOOK_TYPES.contains(&found)),
                None => assert!(!WEBHOOK_TYPES.contains(&&*expected)),
            }
        }
        assert_eq!(
            EventKind::ALL.into_iter().filter_map(type_of).count(),
            WEBHOOK_TYPES.len()
        );
    }

    #[test]
    fn a_body_has_the_data_of_the_notification_unchanged() {
        let payload = br#"{"type":"notification","notification_type":"block_mined","data":{"block_height":7,"difficulty":1e-10, "x":null},"timestamp":1735689599,"event_id":12}"#;
        let entry = LogEntry {
            id: 12,
            topic: Topic::Notifications,
            kind: EventKind::BlockMined,
            height: Some(7),
            block_hash: None,
            payload: Bytes::from_static(payload),
        };
        let message = Message::of_event("5b1d", "block.mined", &entry).unwrap();
        let (number, hash) = message.id.rsplit_once('_').unwrap();
        assert_eq!((number, hash.len()), ("evt_5b1d_12", 8));
        let expected = r#"{"type":"block.mined","timestamp":"2024-12-31T23:59:59Z","event_id":12,"data":{"block_height":7,"difficulty":1e-10, "x":null}}"#;
        assert_eq!(text(&message), expected);
        // The log is an older one: another event has the same number.
        let other = LogEntry {
            payload: Bytes::from_static(br#"{"data":{"block_height":8},"timestamp":1735689600,"event_id":12}"#),
            ..entry.clone()
        };
        assert_ne!(Message::of_event("5b1d", "block.mined", &other).unwrap().id, message.id);
        assert_eq!(Message::of_event("5b1d", "block.mined", &entry).unwrap(), message);
        let damaged = LogEntry {
            payload: Bytes::from_static(b"{\"timestamp\":1"),
            ..entry
        };
        assert!(Message::of_event("5b1d", "block.mined", &damaged).is_err());
    }

    #[test]
    fn a_gap_says_between_which_events_and_a_test_is_new_each_time() {
        let gap = Gap {
            after: 9,
            next: 20,
            hole: 0,
            reason: Reason::Removed,
            noticed: 0,
        };
        let message = Message::gap("5b1d", &gap).unwrap();
        assert_eq!(message.id, "evt_5b1d_gap_9_20_0");
        let expected = r#"{"type":"gap","timestamp":"1970-01-01T00:00:00Z","data":{"after_event":9,"next_event":20,"reason":"removed"}}"#;
        assert_eq!(text(&message), expected);
        let [one, other] = [(); 2].map(|()| Message::test("shop").unwrap());
        assert!(one.id != other.id && text(&one).contains(r#""type":"test""#));
        // Standard Webhooks: the signature separates the parts by dots.
        assert!(!format!("{}{}{}", message.id, one.id, other.id).contains('.'));
    }
}
