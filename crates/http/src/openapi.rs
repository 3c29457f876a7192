//! `GET /openapi.json`: this relay's HTTP API as an OpenAPI 3.1 document, generated from the handlers and their types.
//!
//! The handlers describe their own parameters and responses. This module adds the common processing of all requests
//! (tokens, origins, rate limit, bodies) according to the configuration of this relay: a token is in the document only
//! if the relay requires one.

use axum::Extension;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use sdk_relay_config::Config;
use sdk_relay_http_common::{Edge, gathered};
use sdk_relay_protocol::API_VERSION;
use sdk_relay_protocol::http::Problem;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

/// The handlers. A missing route fails a test (`documents`, in the tests of the HTTP API).
#[derive(OpenApi)]
#[openapi(
    paths(
        super::health::health,
        super::health::live,
        super::health::ready,
        super::metrics::metrics,
        super::timings::timings,
        super::config::config,
        super::config::change,
        super::restart::restart,
        super::logs::logs,
        super::relays::list,
        super::relays::one,
        super::sync::status,
        super::sync::history,
        super::force::force,
        super::force::follow,
        super::bitcoin::info,
        super::bitcoin::block,
        super::bitcoin::first_block,
        super::fees::fees,
        super::tx::broadcast,
        super::tx_details::details,
        super::event_poll::poll,
        super::events::events,
        super::watches::state,
        super::watches::delete,
        openapi,
    ),
    components(schemas(Problem)),
    tags(
        (name = "Health", description = "Health of the relay, for operators, supervisors and load balancers"),
        (name = "Metrics", description = "Metrics of the relay, the node and the mesh"),
        (name = "Mesh", description = "Other relays, and syncs with them"),
        (name = "Operation", description = "Configuration, restart and log"),
        (name = "Bitcoin", description = "State of the node, and broadcasting of transactions"),
        (name = "Watches", description = "Detached watches, with the token of the watch"),
    ),
)]
struct Handlers;

/// Tags that follow those of other edges.
#[derive(OpenApi)]
#[openapi(
    paths(super::dev::mine, super::dev::pay, super::docs::page),
    tags(
        (name = "Events", description = "Notifications as they happen: a stream of server-sent events, and the WebSocket API"),
        (name = "Development", description = "Mine blocks and send payments in development: with `dev_mode`, on regtest, signet and standalone"),
        (name = "Documents", description = "Descriptions of the APIs, for programs and for people"),
    ),
)]
struct LastHandlers;

const ABOUT: &str = "Read the state of the relay, broadcast transactions, and administer the relay. For notifications as they happen, use the \
    WebSocket API (`/asyncapi.json`) or `GET /events`.\n\nAmounts are strings in BTC, each with a counterpart in satoshis. Timestamps are in \
    Unix seconds. Unknown values are `null`. Objects in responses may get further fields: ignore those that you do not know. Errors are \
    RFC 9457 problem documents. If a path does not support a method, the status is 405, and `Allow` lists the methods that it supports.";

/// The document as text: generated once at the start, because its inputs do not change before the next start.
#[derive(Clone, Debug)]
pub(super) struct Document(Bytes);

impl Document {
    pub(super) fn of(config: &Config, with_dev: bool, edges: &[Edge]) -> Self {
        Self(format!("{}\n", document(config, with_dev, edges)).into())
    }
}

/// The document of this relay.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "getOpenApi",
    tag = "Documents",
    responses((status = 200, description = "This document", content_type = "application/json", body = Object)),
)]
pub(super) async fn openapi(Extension(Document(text)): Extension<Document>) -> Response {
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

/// The descriptions of the handlers, with the additions of this relay.
fn document(config: &Config, with_dev: bool, edges: &[Edge]) -> Value {
    let mut handlers = Handlers::openapi();
    for edge in edges {
        handlers.merge(edge.description.clone());
    }
    handlers.merge(LastHandlers::openapi());
    let mut document = gathered(&handlers);
    document["info"] = json!({
        "title": "sdk_relay",
        "description": ABOUT,
        "version": API_VERSION,
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    });
    document["servers"] = json!([{ "url": "/", "description": "This relay" }]);
    document["components"]["securitySchemes"] = schemes(config);
    let components = document["components"]["schemas"].as_object_mut();
    for schema in components.into_iter().flat_map(|all| all.values_mut()) {
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        properties.into_iter().flat_map(|all| all.values_mut()).for_each(bound);
    }
    if let Some(paths) = document["paths"].as_object_mut() {
        paths.retain(|path, _| with_dev || !path.starts_with("/dev/"));
        for operations in paths.values_mut().filter_map(Value::as_object_mut) {
            for (method, operation) in operations {
                complete(method, operation, config);
            }
        }
    }
    document
}

/// The security schemes that this relay requires.
fn schemes(config: &Config) -> Value {
    let bearer = |about: &str| json!({ "type": "http", "scheme": "bearer", "description": about });
    let mut schemes = Map::new();
    schemes.insert(
        "adminToken".to_owned(),
        bearer("`auth.admin_token`: allows administration and reading. If it is not set, requests from the machine of the relay need no token (`http.local_admin`)"),
    );
    schemes.insert(
        "watchToken".to_owned(),
        bearer("`watch_token` of the watch, from its `watch_response` over WebSocket"),
    );
    if config.auth.read_token.is_some() {
        schemes.insert("readToken".to_owned(), bearer("`auth.read_token`: allows reading"));
    }
    schemes.into()
}

/// Adds the behaviour of the layers to an operation.
fn complete(method: &str, operation: &mut Value, config: &Config) {
    let takes_a_body = operation.get("requestBody").is_some();
    if let Some(schema) = operation.pointer_mut("/requestBody/content/application~1json/schema") {
        // An optional body must not be `null`.
        if let Some(body) = schema.pointer_mut("/oneOf/0").map(Value::take) {
            *schema = body;
        }
    }
    let mut errors = vec![
        (StatusCode::TOO_MANY_REQUESTS, "Too many requests from this address"),
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "A fault of the relay; its log has the details",
        ),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "No answer within 60 s, or too many bytes of answers are not read yet (`Retry-After`)",
        ),
    ];
    if needs_token(operation, config) {
        errors.push((StatusCode::UNAUTHORIZED, "A token is required, or the token is wrong"));
    }
    if method != "get" {
        errors.push((
            StatusCode::FORBIDDEN,
            "The request comes from a page whose origin is neither the relay's own nor in `http.cors_origins`",
        ));
    }
    if takes_a_body {
        errors.extend([
            (StatusCode::BAD_REQUEST, "The body is not JSON"),
            (StatusCode::PAYLOAD_TOO_LARGE, "The body exceeds 1 MiB"),
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is not `application/json`"),
        ]);
    }
    errors.push((StatusCode::BAD_REQUEST, "`Host` is missing, malformed or repeated"));
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        bound(&mut parameter["schema"]);
    }
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    for (status, description) in errors {
        let response = responses
            .entry(status.as_str())
            .or_insert_with(|| json!({ "description": description }));
        if let Some(header) = header_of(status) {
            response["headers"] = header;
        }
    }
    for (status, response) in responses.iter_mut() {
        let status = status.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
        let Some(status) = status.filter(|s| s.is_client_error() || s.is_server_error()) else {
            continue;
        };
        if response.get("content").is_none() {
            response["content"] = problem(status, response["description"].as_str().unwrap_or_default());
        }
    }
    responses.sort_keys();
}

/// Keeps only the tokens that this relay requires; returns whether one may be needed.
fn needs_token(operation: &mut Value, config: &Config) -> bool {
    let has = |scheme: &str| {
        let security = operation["security"].as_array();
        security.is_some_and(|all| all.iter().any(|s| s.get(scheme).is_some()))
    };
    if has("watchToken") {
        // Whatever the relay requires otherwise.
        return true;
    }
    let reads = has("readToken");
    let changes = operation.get("security").is_some() && !reads;
    if reads && config.auth.read_token.is_none() {
        operation["security"] = json!([]);
    } else if changes && config.auth.admin_token.is_none() {
        operation["security"] = json!([{}, { "adminToken": [] }]);
    }
    changes || (reads && config.auth.read_token.is_some())
}

/// Adds the maximum of a number, which not all tools derive from its format.
fn bound(schema: &mut Value) {
    if schema["format"] == "uint64" && schema.get("maximum").is_none() {
        schema["maximum"] = u64::MAX.into();
    }
}

fn header_of(status: StatusCode) -> Option<Value> {
    match status {
        StatusCode::TOO_MANY_REQUESTS => Some(json!({
            "Retry-After": { "description": "Seconds", "required": true, "schema": { "type": "integer", "minimum": 1 } }
        })),
        StatusCode::UNAUTHORIZED => Some(json!({
            "WWW-Authenticate": { "required": true, "schema": { "type": "string", "const": "Bearer" } }
        })),
        _ => None,
    }
}

fn problem(status: StatusCode, description: &str) -> Value {
    json!({
        "application/problem+json": {
            "schema": { "$ref": "#/components/schemas/Problem" },
            "example": {
                "type": "about:blank",
                "title": status.canonical_reason(),
                "status": status.as_u16(),
                "detail": description,
            },
        }
    })
}
