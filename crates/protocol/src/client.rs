//! Everything that a client may say on a WebSocket, and how its text is read.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{ErrorCode, Handshake, RelayProof, Subscribe, Sync, SyncReply, Unsubscribe, Unwatch, Watch};

/// A message from a client; `type` names the variant.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// The first message of a connection.
    Handshake(Handshake),
    /// Are you there?
    Ping(Ping),
    /// Add topics.
    Subscribe(Subscribe),
    /// Take topics out.
    Unsubscribe(Unsubscribe),
    /// Ask for this relay's state, health or metrics.
    Sync(Sync),
    /// Scan for these keys.
    Watch(Watch),
    /// No longer.
    Unwatch(Unwatch),
    /// Between relays: who this one is.
    RelayProof(RelayProof),
    /// Between relays: answer to the `sync` of the other.
    SyncResponse(SyncReply),
}

/// `ping`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Ping {
    /// As in the handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
}

/// Why a text is no client message: what an `error` message needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Kind of mistake.
    pub code: ErrorCode,
    /// For the client's developer.
    pub message: String,
    /// `message_id` of the message, where it could be read.
    pub in_reply_to: Option<String>,
}

/// Longest `type` that an error quotes back.
const QUOTED: usize = 40;
/// Longest reason of an error, in bytes: serde quotes a wrong value whole, and a client may send a megabyte of it.
const REASON: usize = 240;

/// Reads a client's text. Unknown fields are ignored; a wrong known one is refused.
pub fn parse_client_message(text: &str) -> Result<ClientMessage, Refusal> {
    let Envelope { kind, message_id } = envelope(text)?;
    let message_id = match message_id {
        None | Some(Value::Null) => None,
        Some(Value::String(message_id)) => Some(message_id),
        Some(_) => {
            let message = "message_id: expected a string".to_owned();
            return Err(refuse(ErrorCode::InvalidField, message, None));
        }
    };
    let kind = match kind {
        None | Some(Value::Null) => {
            let message = "the field \"type\" is missing".to_owned();
            return Err(refuse(ErrorCode::UnknownType, message, message_id));
        }
        Some(Value::String(kind)) => kind,
        Some(_) => {
            let message = "type: expected a string".to_owned();
            return Err(refuse(ErrorCode::InvalidField, message, message_id));
        }
    };
    let parsed = match kind.as_str() {
        "handshake" => read(text).map(ClientMessage::Handshake),
        "ping" => read(text).map(ClientMessage::Ping),
        "subscribe" => read(text).map(ClientMessage::Subscribe),
        "unsubscribe" => read(text).map(ClientMessage::Unsubscribe),
        "sync" => read(text).map(ClientMessage::Sync),
        // A key in the place of something else stays unsaid.
        "watch" => read(text).map(ClientMessage::Watch).map_err(without_quote),
        "unwatch" => read(text).map(ClientMessage::Unwatch),
        "relay_proof" => read(text).map(ClientMessage::RelayProof),
        "sync_response" => read(text).map(ClientMessage::SyncResponse),
        other => {
            let quoted: String = other.chars().take(QUOTED).collect();
            let message = format!(
                "unknown type {quoted:?}: expected handshake, ping, subscribe, unsubscribe, sync, watch or unwatch"
            );
            return Err(refuse(ErrorCode::UnknownType, message, message_id));
        }
    };
    parsed.map_err(|message| refuse(ErrorCode::InvalidField, format!("{kind}: {message}"), message_id))
}

/// The `message_id` of a text that may be wrong otherwise, where one can be read.
pub fn message_id(text: &str) -> Option<String> {
    match envelope(text).ok()?.message_id? {
        Value::String(message_id) => Some(message_id),
        _ => None,
    }
}

/// Any values: a wrong one must not keep the other from being read.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: Option<Value>,
    message_id: Option<Value>,
}

fn envelope(text: &str) -> Result<Envelope, Refusal> {
    match serde_json::from_str(text) {
        // serde reads a struct from an array too; the contract knows objects only.
        Ok(envelope) if text.trim_start().starts_with('{') => Ok(envelope),
        Err(e) if !e.is_data() => Err(refuse(ErrorCode::InvalidJson, format!("not JSON: {e}"), None)),
        Err(e) if text.trim_start().starts_with('{') => {
            Err(refuse(ErrorCode::InvalidField, without_position(&e), None))
        }
        _ => Err(refuse(
            ErrorCode::InvalidJson,
            "a message is a JSON object".to_owned(),
            None,
        )),
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|e| without_position(&e))
}

/// The position in the text says nothing to somebody whose library wrote the message on one line.
fn without_position(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    if let Some(end) = text.rfind(" at line ") {
        text.truncate(end);
    }
    if text.len() > REASON {
        text.truncate(text.floor_char_boundary(REASON));
        text.push('…');
    }
    text
}

/// serde's reason without the text that it quotes: `invalid type: string "…", expected u32`.
fn without_quote(mut reason: String) -> String {
    if let Some(start) = reason.find("string \"") {
        // A reason that was cut is cut in the quote.
        let end = reason.rfind("\", expected").map_or(reason.len(), |at| at + 1);
        reason.replace_range(start..end.max(start), "a string");
    }
    reason
}

fn refuse(code: ErrorCode, message: String, in_reply_to: Option<String>) -> Refusal {
    Refusal {
        code,
        message,
        in_reply_to,
    }
}

#[cfg(test)]
mod tests;
