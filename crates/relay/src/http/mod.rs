//! The HTTP API: one small file for each resource, errors from [`problem`] alone.

mod bitcoin;
mod config;
mod dev;
mod health;
mod metrics;
mod problem;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::StatusCode;
use tower_http::catch_panic::CatchPanicLayer;

use crate::context::Context;
use problem::ApiError;

/// Largest request body: every request of this API fits many times over.
const BODY_BYTES: usize = 1 << 20;
/// Time for an answer. Only what asks the node takes long, and it asks again rather than wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

type Cx = State<Arc<Context>>;

/// All routes.
pub fn router(cx: Arc<Context>) -> Router {
    let mut router = Router::new()
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/config", get(config::config))
        .route("/bitcoin/info", get(bitcoin::info))
        .route("/bitcoin/blocks/{block_hash}", get(bitcoin::block));
    if cx.dev.is_some() {
        router = router
            .route("/dev/mine", post(dev::mine))
            .route("/dev/pay", post(dev::pay));
    }
    router
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(&cx), count_and_bound))
        // Held by the extractors, whose refusals become problem documents as all others do.
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
