//! A message as bytes, made once and shared by all who get it.

use bytes::Bytes;
use sdk_relay_protocol::{Event, ServerMessage, encode};

/// Sent in the place of a message that cannot be encoded. No message of the protocol is of that kind; should one ever be, its client and the
/// operator learn of it.
const NOT_ENCODED: &str = r#"{"type":"error","code":"internal","message":"a message could not be encoded: please report this bug","in_reply_to":null,"timestamp":0}"#;

/// JSON text in one shared buffer. Cloning it copies a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    text: Bytes,
    is_private: bool,
}

impl Frame {
    /// Makes the bytes of a message.
    pub fn encode(message: &ServerMessage) -> Self {
        let text = match encode(message) {
            // It may wait: without the capacity that encoding took beside.
            Ok(text) => text.into_boxed_slice().into(),
            Err(error) => {
                tracing::error!(%error, "a message could not be encoded: please report this bug");
                Bytes::from_static(NOT_ENCODED.as_bytes())
            }
        };
        Self {
            text,
            is_private: is_private(message),
        }
    }

    /// Takes over the text of an event of the log that was encoded before.
    pub fn from_text(text: Bytes) -> Self {
        Self {
            text,
            is_private: false,
        }
    }

    /// Whether it is about a watch, or may be: no public counter counts it.
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
        // It may answer a watch.
        | ServerMessage::Error(_) => true,
        ServerMessage::Notification(notification) => match &notification.event {
            Event::PaymentDetected(payment) | Event::PaymentReverted(payment) => payment.watch_id.is_some(),
            Event::BlockMined(_)
            | Event::BlockDisconnected(_)
            | Event::RelayConnected(_)
            | Event::RelayDisconnected(_)
            | Event::Tweaks(_) => false,
        },
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
    fn what_stands_for_a_message_that_cannot_be_encoded_is_a_message() {
        let error: ServerMessage = serde_json::from_str(NOT_ENCODED).unwrap();
        assert_eq!(Frame::encode(&error).text(), NOT_ENCODED);
    }
}
