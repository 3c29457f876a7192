//! A message as bytes, made once and shared by all who get it.

use bytes::Bytes;
use sdk_relay_protocol::{ServerMessage, encode};
use tokio_websockets::Message;

/// Sent in the place of a message that cannot be encoded. No message of the protocol is of that kind; should one ever be, its client and the
/// operator learn of it.
const NOT_ENCODED: &str = r#"{"type":"error","code":"internal","message":"a message of the relay could not be encoded: please report this","in_reply_to":null,"timestamp":0}"#;

/// JSON text in one shared buffer. Cloning it copies a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// Makes the bytes of a message.
    pub fn encode(message: &ServerMessage) -> Self {
        match encode(message) {
            Ok(text) => Self(text.into()),
            Err(error) => {
                tracing::error!(%error, "please report this");
                Self(Bytes::from_static(NOT_ENCODED.as_bytes()))
            }
        }
    }

    /// Takes over text that was encoded before.
    pub fn from_text(text: Bytes) -> Self {
        Self(text)
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text.
    pub fn text(&self) -> Bytes {
        self.0.clone()
    }

    /// The WebSocket message; shares the bytes.
    pub fn message(&self) -> Message {
        Message::text(self.0.clone())
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
