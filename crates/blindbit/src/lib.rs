//! The interfaces of a BlindBit Oracle, so that wallets built for one work with this relay: version 1 over HTTP below
//! `/blindbit/v1/`, version 2 below `/blindbit/v2/` and over gRPC ([`grpc`]).
//!
//! Guarantees: all answers except that of `forward-tx` come from the tweak index, without requests to the node; dust
//! limit and cut-through omit whole transactions, never single outputs, so that outputs with k > 0 can be found; a
//! block outside the index is an error, never an empty answer; requests of scanning wallets wait for rate limit and
//! memory, and are refused only if too many wait.

mod answer;
mod block;
mod filter;
pub mod grpc;
mod path;
mod rate_limit;
mod state;
mod timeouts;
mod v1;
mod v2;
mod waiting;

use std::sync::Arc;

use axum::Router;
use axum::http::Extensions;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use hyper::header::HeaderMap;
use hyper::{StatusCode, Version};
use sdk_relay_http_common::{Access, Edge};
use sdk_relay_transport::AnswerShare;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use utoipa::OpenApi;

use rate_limit::RequestPacer;

pub use grpc::{GrpcApi, GrpcError, GrpcMetrics};
pub use state::Handles;
pub use timeouts::Timeouts;

/// POST routes that any web page may use: they do not change the relay.
const ANY_PAGE_POSTS: [&str; 1] = ["/blindbit/v1/forward-tx"];

#[derive(OpenApi)]
#[openapi(
    paths(
        v1::info::info,
        v1::block_height::block_height,
        v1::block_hash::block_hash,
        v1::tweaks::tweaks,
        v1::tweak_index::tweak_index,
        v1::utxos::utxos,
        v1::spent_index::spent_index,
        v1::filters::new_utxos,
        v1::filters::spent,
        v1::forward_tx::forward_tx,
        v2::info::info,
        v2::tweaks::tweaks,
        v2::utxos::utxos,
        v2::spent_outputs::spent_outputs,
        v2::compute_index::compute_index,
        v2::full_block::full_block,
    ),
    tags((name = "BlindBit", description = "The routes of a BlindBit Oracle, for wallets that were built for one")),
)]
struct Described;

/// An Oracle with both interfaces. Requests over HTTP, calls and streamed blocks have a common rate limit.
pub struct Oracle {
    handles: Arc<Handles>,
    pacer: RequestPacer,
}

impl Oracle {
    /// An Oracle that answers from the index of `handles`.
    pub fn new(handles: Handles) -> Self {
        Self {
            pacer: RequestPacer::new(handles.settings.now().blindbit_requests_per_second),
            handles: Arc::new(handles),
        }
    }

    /// The routes of both versions, for the HTTP port.
    pub fn edge(&self) -> Edge {
        Edge {
            routes: routes(&self.handles).with_state(Arc::clone(&self.handles)),
            access: Access::Read,
            any_page_posts: &ANY_PAGE_POSTS,
            description: Described::openapi(),
            rate_limiter: Some(Box::new(self.pacer.clone())),
        }
    }

    /// The gRPC interface, for a port of its own.
    pub fn grpc(&self, metrics: GrpcMetrics) -> Result<GrpcApi, GrpcError> {
        GrpcApi::new(Arc::clone(&self.handles), self.pacer.clone(), metrics)
    }
}

/// The routes of both versions, compressed if the client accepts it: tweaks are random, but encoded in hex.
fn routes(handles: &Arc<Handles>) -> Router<Arc<Handles>> {
    Router::new()
        .route("/blindbit/v1/info", get(v1::info::info))
        .route("/blindbit/v1/block-height", get(v1::block_height::block_height))
        .route("/blindbit/v1/block-hash/{height}", get(v1::block_hash::block_hash))
        .route("/blindbit/v1/tweaks/{height}", get(v1::tweaks::tweaks))
        .route("/blindbit/v1/tweak-index/{height}", get(v1::tweak_index::tweak_index))
        .route("/blindbit/v1/utxos/{height}", get(v1::utxos::utxos))
        .route("/blindbit/v1/spent-index/{height}", get(v1::spent_index::spent_index))
        .route("/blindbit/v1/filter/new-utxos/{height}", get(v1::filters::new_utxos))
        .route("/blindbit/v1/filter/spent/{height}", get(v1::filters::spent))
        .route("/blindbit/v1/forward-tx", post(v1::forward_tx::forward_tx))
        .route("/blindbit/v2/info", get(v2::info::info))
        .route("/blindbit/v2/tweaks/{height}", get(v2::tweaks::tweaks))
        .route("/blindbit/v2/utxos/{height}", get(v2::utxos::utxos))
        .route(
            "/blindbit/v2/spent-outputs/{height}",
            get(v2::spent_outputs::spent_outputs),
        )
        .route(
            "/blindbit/v2/compute-index/{height}",
            get(v2::compute_index::compute_index),
        )
        .route("/blindbit/v2/full-block/{height}", get(v2::full_block::full_block))
        // Inside the compression: a compressed body has no known size, and its input takes the memory.
        .layer(from_fn_with_state(Arc::clone(handles), waiting::in_turn))
        .layer(CompressionLayer::new().compress_when(DefaultPredicate::new().and(has_memory)))
}

/// Whether there is memory for the encoder of this answer.
fn has_memory(_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions) -> bool {
    extensions.get::<Arc<AnswerShare>>().is_some()
}
