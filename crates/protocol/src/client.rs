//! Messages that clients send over a WebSocket, and their parser.

use sdk_relay_echo::{parser_reason, quoted, short};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{Attach, ErrorCode, Handshake, RelayProof, Subscribe, Sync, SyncReply, Unsubscribe, Unwatch, Watch};

/// A message from a client; `type` names the variant.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// The first message of a connection.
    Handshake(Handshake),
    /// Request a `pong`.
    Ping(Ping),
    /// Subscribe to topics.
    Subscribe(Subscribe),
    /// Unsubscribe from topics.
    Unsubscribe(Unsubscribe),
    /// Request the state, health or metrics of this relay.
    Sync(Sync),
    /// Watch a wallet: report payments to these keys.
    Watch(Watch),
    /// End a watch.
    Unwatch(Unwatch),
    /// Take a detached watch over to this connection, and release its matches.
    Attach(Attach),
    /// Between relays: proof of the sender's identity.
    RelayProof(RelayProof),
    /// Between relays: response to a `sync` of the other relay.
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

/// Why a text is not a valid client message: the content of an `error` message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Kind of error.
    pub code: ErrorCode,
    /// Description for the developer of the client.
    pub message: String,
    /// `message_id` of the message, if it could be read.
    pub in_reply_to: Option<String>,
}

/// Longest `type` that an error quotes, in characters: longer than any, and shorter than a key that is in the wrong
/// place.
const QUOTED: usize = 40;

/// Parses a client message. Unknown fields are ignored; an invalid value of a known field is an error.
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
            let message = "type: missing".to_owned();
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
        // An error must not quote a key that was sent in another field.
        "watch" => read(text).map(ClientMessage::Watch).map_err(without_quote),
        "unwatch" => read(text).map(ClientMessage::Unwatch),
        // Nor a token.
        "attach" => read(text).map(ClientMessage::Attach).map_err(without_quote),
        "relay_proof" => read(text).map(ClientMessage::RelayProof),
        "sync_response" => read(text).map(ClientMessage::SyncResponse),
        other => {
            let start: String = other.chars().take(QUOTED).collect();
            let message = format!(
                "unknown type {}: expected handshake, ping, subscribe, unsubscribe, sync, watch, unwatch or attach",
                quoted(&start)
            );
            return Err(refuse(ErrorCode::UnknownType, message, message_id));
        }
    };
    parsed.map_err(|message| refuse(ErrorCode::InvalidField, format!("{kind}: {message}"), message_id))
}

/// The `message_id` of a message that may be invalid otherwise, if it can be read.
pub fn message_id(text: &str) -> Option<String> {
    match envelope(text).ok()?.message_id? {
        Value::String(message_id) => Some(message_id),
        _ => None,
    }
}

/// Untyped values, so that an invalid one does not prevent the other from being read.
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
            "expected a JSON object".to_owned(),
            None,
        )),
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|e| match path_of_mistake::<T>(text) {
        Some(path) => format!("{}: {}", short(&path), without_position(&e)),
        None => without_position(&e),
    })
}

/// Where the invalid value is: `from_height`, `labels[0]`. Costs a second pass, which a valid message is spared.
fn path_of_mistake<'a, T: Deserialize<'a>>(text: &'a str) -> Option<String> {
    let json = &mut serde_json::Deserializer::from_str(text);
    let mistake = serde_path_to_error::deserialize::<_, T>(json).err()?;
    let path = mistake.path();
    path.iter().next().is_some().then(|| path.to_string())
}

/// Removes serde's position: most clients send their JSON on one line, so it does not help.
fn without_position(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    if let Some(end) = text.rfind(" at line ") {
        text.truncate(end);
    }
    parser_reason(&text)
}

/// serde's reason without the value that it quotes: `invalid type: string "…", expected u32`.
fn without_quote(mut reason: String) -> String {
    if let Some(start) = reason.find("string \"") {
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
