//! `GET /asyncapi.json`: the WebSocket API as an AsyncAPI 3.0 document. Messages and schemas come from the protocol's
//! own enums: a message that is added there is in the document.

use axum::Extension;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use hyper::header::CONTENT_TYPE;
use sdk_relay_config::Config;
use sdk_relay_http_common::gathered;
use sdk_relay_protocol::{API_VERSION, ClientMessage, ServerMessage};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

/// Example messages of clients, one per line. The tests check each against its type.
const CLIENT_EXAMPLES: &str = include_str!("asyncapi/client.jsonl");
/// Example messages of the relay, one per line.
const SERVER_EXAMPLES: &str = include_str!("asyncapi/server.jsonl");

const ABOUT: &str = "Notifications and commands over a WebSocket. A client connects, sends `handshake` within 10 seconds, and then receives \
    the topics that it subscribed to: payments, blocks, tweaks, and reports about the relay.\n\nThe relay answers an invalid message with \
    `error`; the connection stays open. Ten errors in a row close it. Close codes: 1000 the client closed the connection, 1001 the relay \
    shuts down or received nothing for 90 s, 1002 protocol error, 1003 binary message, 1007 text that is not UTF-8, 1008 not authorized or \
    message not complete in time, 1009 message over 1 MiB, 1011 fault of the relay, 1012 the relay restarts, 1013 the relay cannot serve \
    this connection now (the reason says why). To resume, connect again with `resume_from`.\n\nNo message of the relay exceeds 512 KiB. \
    The `tweaks` of a large block arrive in parts (`part`, `parts`), each with its own `event_id`. A transaction with `continues` continues \
    in the next part: join its outputs before you scan it.";

/// Gathers the schemas of all messages.
#[derive(OpenApi)]
#[openapi(components(schemas(ClientMessage, ServerMessage)))]
struct Messages;

/// The document as text: made once when the relay starts, as nothing that it depends on changes before the next start.
#[derive(Clone, Debug)]
pub(crate) struct Document(Bytes);

impl Document {
    pub(crate) fn of(config: &Config) -> Self {
        Self(format!("{}\n", document(config)).into())
    }
}

/// The WebSocket API as an AsyncAPI document.
#[utoipa::path(
    get,
    path = "/asyncapi.json",
    operation_id = "getAsyncApi",
    tag = "Documents",
    responses((status = 200, description = "The document", content_type = "application/json", body = Object)),
)]
pub(crate) async fn asyncapi(Extension(Document(text)): Extension<Document>) -> Response {
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

/// The document of this relay.
fn document(config: &Config) -> Value {
    let mut schemas = gathered(&Messages::openapi())["components"]["schemas"].take();
    let client = messages("client", schemas["ClientMessage"].take(), CLIENT_EXAMPLES);
    let server = messages("server", schemas["ServerMessage"].take(), SERVER_EXAMPLES);
    if let Some(schemas) = schemas.as_object_mut() {
        // They are the messages themselves.
        schemas.retain(|_, schema| !schema.is_null());
    }
    let mut operations = Map::new();
    for name in client.keys() {
        operations.insert(name.replace("client.", "receive."), received(name, &server));
    }
    for name in server.keys() {
        let operation = json!({ "action": "send", "channel": reference(CHANNEL), "messages": [in_channel(name)] });
        operations.insert(name.replace("server.", "send."), operation);
    }
    let all = || client.iter().chain(&server);
    let in_components = |name: &String| (name.clone(), reference(&format!("#/components/messages/{name}")));
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "sdk_relay",
            "version": API_VERSION,
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": servers(config),
        "channels": {
            "relay": {
                "address": null,
                "title": "Connection",
                "description": "Any path on the WebSocket port, or `/ws` on the HTTP port",
                "messages": all().map(|(name, _)| in_components(name)).collect::<Map<_, _>>(),
                "bindings": { "ws": { "method": "GET" } },
            },
        },
        "operations": operations,
        "components": {
            "messages": all().map(|(name, message)| (name.clone(), message.clone())).collect::<Map<_, _>>(),
            "schemas": schemas,
            "securitySchemes": {
                "readToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`auth.read_token` or `auth.admin_token`, in the header `Authorization` or as `token` in the handshake",
                },
            },
        },
    })
}

/// The one channel.
const CHANNEL: &str = "#/channels/relay";

fn reference(to: &str) -> Value {
    json!({ "$ref": to })
}

fn in_channel(name: &str) -> Value {
    reference(&format!("{CHANNEL}/messages/{name}"))
}

/// A message that the relay receives, with the answers that it gives.
fn received(name: &str, server: &Map<String, Value>) -> Value {
    let word = name.trim_start_matches("client.");
    let answers = [format!("server.{word}_response"), "server.error".to_owned()];
    let mut answers: Vec<String> = answers.into_iter().filter(|a| server.contains_key(a)).collect();
    if word == "ping" {
        answers.insert(0, "server.pong".to_owned());
    }
    let answers: Vec<Value> = answers.iter().map(|a| in_channel(a)).collect();
    json!({
        "action": "receive",
        "channel": reference(CHANNEL),
        "messages": [in_channel(name)],
        "reply": { "channel": reference(CHANNEL), "messages": answers },
    })
}

/// The variants of a message enum, each a message of its own. Their names are those of `type`, with the name of the
/// sender as prefix.
fn messages(who: &str, mut schema: Value, examples: &str) -> Map<String, Value> {
    let variants = match schema["oneOf"].take() {
        Value::Array(variants) => variants,
        _ => Vec::new(),
    };
    let examples: Vec<Value> = examples
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let named = variants.into_iter().filter_map(|mut variant| {
        let word = word_of(&variant)?;
        let summary = variant.as_object_mut().and_then(|v| v.shift_remove("description"));
        let examples: Vec<Value> = examples
            .iter()
            .filter(|e| e["type"] == word.as_str())
            .map(|e| json!({ "name": name_of(e), "payload": e }))
            .collect();
        let message =
            json!({ "name": word, "title": word, "summary": summary, "payload": variant, "examples": examples });
        Some((format!("{who}.{word}"), message))
    });
    named.collect()
}

/// What distinguishes this example from others of its type.
fn name_of(example: &Value) -> &Value {
    let telling = ["notification_type", "sync_type", "role", "status"];
    telling
        .iter()
        .find_map(|field| example.get(*field))
        .unwrap_or(&example["type"])
}

/// The word in a variant's field `type`.
fn word_of(variant: &Value) -> Option<String> {
    let parts = variant["allOf"].as_array()?;
    let word = parts.iter().find_map(|p| p["properties"]["type"]["enum"][0].as_str())?;
    Some(word.to_owned())
}

fn servers(config: &Config) -> Value {
    let security = if config.auth.read_token.is_some() {
        json!([reference("#/components/securitySchemes/readToken")])
    } else {
        json!([])
    };
    let at = |port: u16| format!("localhost:{port}");
    let protocol = if config.tls.is_some() { "wss" } else { "ws" };
    json!({
        "websocket": { "host": at(config.ws_url.port()), "protocol": protocol, "description": "The WebSocket port", "security": security },
        "http": {
            "host": at(config.http_url.port()),
            "pathname": "/ws",
            "protocol": protocol,
            "description": "The HTTP port, for clients that can reach only this port",
            "security": security,
        },
    })
}

#[cfg(test)]
mod tests;
