//! A message as bytes, made once and shared by all who get it.

use bytes::Bytes;
use sdk_relay_protocol::ServerMessage;
use tokio_websockets::Message;

/// JSON text in one shared buffer. Cloning it copies a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// Makes the bytes of a message.
    pub fn encode(message: &ServerMessage) -> Self {
        // Our own types have text keys and finite numbers: nothing of them can fail to become JSON.
        Self(serde_json::to_vec(message).unwrap_or_default().into())
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
