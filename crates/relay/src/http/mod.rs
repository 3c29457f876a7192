//! The HTTP API: one small file for each resource, errors from [`problem`] alone.

mod access;
mod asyncapi;
mod bitcoin;
mod blindbit;
mod body;
mod config;
mod dev;
mod docs;
mod documents;
mod events;
mod force;
mod health;
mod logs;
mod metrics;
mod openapi;
mod problem;
mod query;
mod relays;
mod restart;
mod sync;
mod tx;
mod ws;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use hyper::StatusCode;
use tower_http::catch_panic::CatchPanicLayer;

use crate::context::Context;
use access::Pace;
use documents::Documents;
use problem::ApiError;

pub use access::may_read;
pub(crate) use body::whole;

/// Largest request body: every request of this API fits many times over.
const BODY_BYTES: usize = 1 << 20;
/// Time for an answer. Only what asks the node takes long, and it asks again rather than wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

type Cx = State<Arc<Context>>;

/// All routes.
pub fn router(cx: Arc<Context>) -> Router {
    let pace = Arc::new(Pace::new(cx.config().requests_per_second));
    let with = |cx: &Arc<Context>| Arc::clone(cx);
    let admin = Router::new()
        .route("/config", put(config::change))
        .route("/restart", post(restart::restart))
        .route("/sync/force", post(force::force))
        .route("/logs", get(logs::logs))
        .route_layer(from_fn_with_state(with(&cx), access::admin));
    let mut reading = Router::new()
        .route("/health", get(health::health))
        .route("/metrics", get(metrics::metrics))
        .route("/config", get(config::config))
        .route("/relays", get(relays::list))
        .route("/relays/{relay_id}", get(relays::one))
        .route("/sync/status", get(sync::status))
        .route("/sync/force/{sync_id}", get(force::follow))
        .route("/sync/history", get(sync::history))
        .route("/events", get(events::events))
        .route("/tx", post(tx::broadcast))
        .route("/bitcoin/info", get(bitcoin::info))
        .route("/bitcoin/blocks/{block_hash}", get(bitcoin::block))
        .merge(blindbit::routes());
    if cx.dev.is_some() {
        reading = reading
            .route("/dev/mine", post(dev::mine))
            .route("/dev/pay", post(dev::pay));
    }
    let reading = reading.route_layer(from_fn_with_state(with(&cx), access::read));
    // What supervisors and load balancers ask needs no token, nor does what describes the API: they tell nothing.
    let open = Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        // Its handshake asks for the token.
        .route("/ws", get(ws::open))
        .route("/openapi.json", get(openapi::openapi))
        .route("/asyncapi.json", get(asyncapi::asyncapi))
        .route("/docs", get(docs::page))
        .layer(Extension(Documents::of(&cx)));
    open.merge(reading)
        .merge(admin)
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(with(&cx), access::origins))
        .layer(from_fn_with_state(pace, access::pace))
        .layer(from_fn_with_state(with(&cx), count_and_bound))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(cx)
}

async fn not_found(request: Request) -> ApiError {
    ApiError::not_found(format!("there is nothing at {}", request.uri().path()))
}

async fn wrong_method(request: Request) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!(
            "{} does not answer {}: the header Allow lists what it answers",
            request.uri().path(),
            request.method()
        ),
    )
}

async fn count_and_bound(State(cx): Cx, request: Request, next: Next) -> Response {
    cx.counters.http_requests.inc();
    match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::unavailable("the answer took longer than 60 s: the node is slow to answer").into_response(),
    }
}

/// A panic is a fault of the program: it goes to the log, and nothing of it to the client.
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let what = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    tracing::error!(
        error = what.unwrap_or_default(),
        "a request made the relay panic: please report this"
    );
    ApiError::internal().into_response()
}

#[cfg(test)]
mod tests;
