//! The HTTP API.
//!
//! Routes, problem documents, and the stream of `GET /events`, with one file per resource. [`api`] combines the routes
//! of this crate and of other edges behind [`Front`], which has the common processing, and generates one description of
//! all.

mod access;
mod bitcoin;
mod config;
mod dev;
mod docs;
mod event_poll;
mod events;
mod fees;
mod force;
mod front;
mod health;
mod logs;
mod metrics;
mod openapi;
mod origins;
mod relays;
mod requests;
mod restart;
mod state;
mod sync;
mod timings;
mod tx;
mod tx_details;
mod watches;

use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use hyper::StatusCode;

use openapi::Document;
use sdk_relay_echo::short;
use sdk_relay_http_common::{Access, ApiError, Edge};

use state::Shared;

pub use front::Front;
pub use requests::HttpMetrics;
pub use state::{Figures, Handles};

/// POST routes that any web page may use: they do not change the relay.
const ANY_PAGE_POSTS: [&str; 1] = ["/tx"];

/// The whole API: its routes and those of other edges, behind [`Front`].
pub fn api(handles: Handles, mut edges: Vec<Edge>) -> Front {
    let edge_limiters = edges.iter_mut().filter_map(|edge| edge.rate_limiter.take()).collect();
    let of_edges = edges.iter().flat_map(|edge| edge.any_page_posts);
    let any_page_posts = ANY_PAGE_POSTS.iter().chain(of_edges).copied().collect();
    let document = Document::of(handles.settings.started_with(), handles.dev.is_some(), &edges);
    let handles = Arc::new(handles);
    let routes = routes(&Shared(Arc::clone(&handles)), document, edges);
    Front::new(routes, handles, edge_limiters, any_page_posts)
}

/// All routes. A layer costs two allocations per request, a significant part of a small answer: common processing is in
/// [`Front`], and layers apply only to routes that need them.
fn routes(state: &Shared, document: Document, edges: Vec<Edge>) -> Router {
    let mut admin = Router::new()
        .route("/config", put(config::change))
        .route("/restart", post(restart::restart))
        .route("/sync/force", post(force::force))
        .route("/logs", get(logs::logs))
        .with_state(state.clone());
    let mut posting = Router::new().route("/tx", post(tx::broadcast));
    if state.0.dev.is_some() {
        let dev = Router::new()
            .route("/dev/mine", post(dev::mine))
            .route("/dev/pay", post(dev::pay));
        posting = posting.merge(dev.route_layer(from_fn(access::known_host)));
    }
    let mut reading = Router::new()
        .route("/health", get(health::health))
        .route("/metrics", get(metrics::metrics))
        .route("/timings", get(timings::timings))
        .route("/config", get(config::config))
        .route("/relays", get(relays::list))
        .route("/relays/{relay_id}", get(relays::one))
        .route("/sync/status", get(sync::status))
        .route("/sync/force/{sync_id}", get(force::follow))
        .route("/sync/history", get(sync::history))
        .route("/events", get(events::events))
        .route("/events/poll", get(event_poll::poll))
        .route("/fees", get(fees::fees))
        .route("/tx/{txid}", get(tx_details::details))
        .route("/bitcoin/info", get(bitcoin::info))
        .route("/bitcoin/blocks/{block_hash}", get(bitcoin::block))
        .route("/bitcoin/first-block", get(bitcoin::first_block))
        .merge(posting)
        .with_state(state.clone());
    let mut open = Router::new();
    for edge in edges {
        match edge.access {
            Access::Open => open = open.merge(edge.routes),
            Access::Read => reading = reading.merge(edge.routes),
            Access::Admin => admin = admin.merge(edge.routes),
        }
    }
    let admin = admin.route_layer(from_fn_with_state(state.clone(), access::admin));
    // Tokens are read at the start only.
    if state.0.settings.now().auth.read_token.is_some() {
        reading = reading.route_layer(from_fn_with_state(state.clone(), access::read));
    }
    // Health checks and API descriptions need no token: they reveal nothing.
    let described = Router::new()
        .route("/openapi.json", get(openapi::openapi))
        .route("/docs", get(docs::page))
        .layer(Extension(document));
    let health = Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready));
    // Their tokens are those of the watches.
    let watches = Router::new().route("/watches/{watch_id}", get(watches::state).delete(watches::delete));
    open.merge(health.with_state(state.clone()))
        .merge(watches.with_state(state.clone()))
        .merge(described)
        .merge(reading)
        .merge(admin)
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
}

async fn not_found(request: Request) -> ApiError {
    ApiError::not_found(format!("there is nothing at {}", short(request.uri().path())))
}

async fn wrong_method(request: Request) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!(
            "{} does not support the method {}: the header Allow lists the methods that it supports",
            short(request.uri().path()),
            short(request.method().as_str())
        ),
    )
}
