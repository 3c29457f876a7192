//! An event of format 1.

use bytes::Bytes;
use sdk_relay_protocol::{EncodeError, Event, LARGEST_MESSAGE, Notification, ServerMessage, Topic, encode};

use crate::{EventKind, InvalidBlockHash, LogEntry, record};

/// Why an event of format 1 cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undecodable {
    #[error("no topic has this number, and nothing was ever sent of it")]
    Topic,
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    BlockHash(#[from] InvalidBlockHash),
    #[error(transparent)]
    Parts(#[from] EncodeError),
}

/// Converts the event to the current format. If it cannot be decoded: the entry to keep, and the reason.
pub(super) fn entry(id: u64, record: &[u8]) -> Result<LogEntry, (LogEntry, Undecodable)> {
    let unknown = |topic, payload: &[u8]| LogEntry {
        id,
        topic,
        kind: EventKind::Unknown,
        height: None,
        block_hash: None,
        payload: Bytes::copy_from_slice(payload),
    };
    let parts = record
        .split_first()
        .and_then(|(byte, payload)| Some((record::topic(*byte)?, payload)));
    let Some((topic, payload)) = parts else {
        // Its id must be kept.
        return Err((unknown(Topic::Notifications, &[]), Undecodable::Topic));
    };
    let decoded = if payload.len() > LARGEST_MESSAGE {
        long(id, payload)
    } else {
        known(id, payload)
    };
    match decoded {
        Ok(entry) => Ok(LogEntry { topic, ..entry }),
        Err(error) => Err((unknown(topic, payload), error)),
    }
}

fn known(id: u64, payload: &[u8]) -> Result<LogEntry, Undecodable> {
    let event: Event = serde_json::from_slice(payload)?;
    Ok(LogEntry::new(id, &event, Bytes::copy_from_slice(payload))?)
}

/// Files older than the split into parts, which version 0.1 could read, have the tweaks of a large block in one event
/// that exceeds the message limit.
fn long(id: u64, payload: &[u8]) -> Result<LogEntry, Undecodable> {
    let Notification {
        event,
        timestamp,
        event_id,
        ..
    } = serde_json::from_slice(payload)?;
    let entry = LogEntry::new(id, &event, Bytes::new())?;
    let Event::Tweaks(block) = event else {
        return Ok(LogEntry {
            payload: Bytes::copy_from_slice(payload),
            ..entry
        });
    };
    let mut lines = Vec::with_capacity(payload.len() + payload.len() / 64);
    for part in block.into_parts() {
        let event_id = event_id.filter(|_| part.part == part.parts);
        if !lines.is_empty() {
            lines.push(b'\n');
        }
        lines.extend(encode(&ServerMessage::Notification(Notification {
            event: Event::Tweaks(part),
            timestamp,
            event_id,
            watch_seq: None,
        }))?);
    }
    Ok(LogEntry {
        kind: EventKind::TweaksInParts,
        payload: lines.into(),
        ..entry
    })
}
