//! An encoded message, shared by all receivers.

use std::num::NonZeroU64;

use bytes::Bytes;
use sdk_relay_protocol::{ServerMessage, encode};
use sdk_relay_store::LogEntry;

/// Sent instead of a message that cannot be encoded. No message of the protocol should fail; if one does, client and
/// operator are notified.
const NOT_ENCODED: &str = r#"{"type":"error","code":"internal","message":"a message could not be encoded: please report this bug","in_reply_to":null,"timestamp":0}"#;

/// JSON text in one shared buffer. Cloning it copies a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    text: Bytes,
    event_id: Option<NonZeroU64>,
    is_private: bool,
}

impl Frame {
    /// Encodes a message.
    pub fn encode(message: &ServerMessage) -> Self {
        let text = match encode(message) {
            // It may be queued: drop the spare capacity.
            Ok(text) => text.into_boxed_slice().into(),
            Err(error) => {
                tracing::error!(%error, "a message could not be encoded: please report this bug");
                Bytes::from_static(NOT_ENCODED.as_bytes())
            }
        };
        let event_id = match message {
            ServerMessage::Notification(notification) => notification.event_id,
            _ => None,
        };
        Self {
            text,
            event_id: event_id.and_then(NonZeroU64::new),
            is_private: is_private(message),
        }
    }

    /// The stored text of the logged event with this id.
    pub fn logged(event_id: u64, text: Bytes) -> Self {
        Self {
            text,
            event_id: NonZeroU64::new(event_id),
            is_private: false,
        }
    }

    /// The messages of a logged event. The last of them has its id: a client that resumes after an earlier one receives
    /// all of them again.
    pub(crate) fn of_entry(entry: &LogEntry) -> impl Iterator<Item = Self> + '_ {
        let mut messages = entry.messages().peekable();
        std::iter::from_fn(move || {
            let text = messages.next()?;
            let id = if messages.peek().is_none() { entry.id } else { 0 };
            Some(Self::logged(id, text))
        })
    }

    /// The `event_id` of its text; `None` if `null` or absent.
    pub fn event_id(&self) -> Option<u64> {
        self.event_id.map(NonZeroU64::get)
    }

    /// Whether it is, or may be, about a watch: not counted in public metrics.
    pub fn is_private(&self) -> bool {
        self.is_private
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text.
    pub fn text(&self) -> Bytes {
        self.text.clone()
    }
}

fn is_private(message: &ServerMessage) -> bool {
    match message {
        ServerMessage::WatchResponse(_)
        | ServerMessage::WatchProgress(_)
        | ServerMessage::UnwatchResponse(_)
        | ServerMessage::AttachResponse(_)
        | ServerMessage::WatchGap(_)
        | ServerMessage::WatchEnded(_)
        // It may answer a watch.
        | ServerMessage::Error(_) => true,
        ServerMessage::Notification(notification) => notification.event.watch_id().is_some(),
        ServerMessage::HandshakeResponse(_)
        | ServerMessage::RelayChallenge(_)
        | ServerMessage::Sync(_)
        | ServerMessage::SyncResponse(_)
        | ServerMessage::Pong(_)
        | ServerMessage::SubscribeResponse(_)
        | ServerMessage::UnsubscribeResponse(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replacement_of_an_unencodable_message_is_a_message() {
        let error: ServerMessage = serde_json::from_str(NOT_ENCODED).unwrap();
        assert_eq!(Frame::encode(&error).text(), NOT_ENCODED);
    }
}
