//! The gRPC interface of an Oracle (`blindbit.oracle.v1.OracleService`), with server reflection.
//!
//! Guarantees: all answers come from the tweak index, without requests to the node; a stream is of one chain, and ends
//! with `ABORTED` if a reorganisation replaces a block that it has sent; a client that reads slowly holds one batch of
//! blocks, and the work of a stream stops when its client leaves; calls, streams and their bytes are limited for each
//! address and in all.

mod answer;
mod call;
mod caller;
mod deadline;
mod limits;
mod messages;
mod metrics;
mod oracle;
mod paths;
mod refusal;
mod stream;
mod wire;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use hyper::{Request, Response};
use sdk_relay_blindbit_proto::DESCRIPTOR;
use sdk_relay_blindbit_proto::oracle_service_server::OracleServiceServer;
use tonic::Status;
use tonic_reflection::server::Builder;
use tower::Service;

use self::call::Front;
use self::oracle::Calls;
use self::paths::{ORACLE, REFLECTION, REQUEST_BYTES};
use crate::rate_limit::RequestPacer;
use crate::state::Handles;

pub use metrics::GrpcMetrics;

/// Why the interface cannot be served: a bug, because its description is part of the program.
#[derive(Debug, thiserror::Error)]
#[error("the description of the gRPC interface is damaged: {0}")]
pub struct GrpcError(#[from] tonic_reflection::server::Error);

/// Answers gRPC requests, each with the TCP peer and the state of its listener among its extensions.
#[derive(Clone)]
pub struct GrpcApi {
    front: Arc<Front>,
    routes: Router,
}

impl GrpcApi {
    pub(crate) fn new(handles: Arc<Handles>, pacer: RequestPacer, metrics: GrpcMetrics) -> Result<Self, GrpcError> {
        let description = || Builder::configure().register_encoded_file_descriptor_set(DESCRIPTOR);
        let calls = Calls::new(Arc::clone(&handles), pacer.clone(), metrics.clone());
        let path = |prefix: &str| format!("{prefix}{{call}}");
        let [v1, v1alpha] = REFLECTION.map(path);
        let routes = Router::new()
            .route_service(
                &path(ORACLE),
                OracleServiceServer::new(calls).max_decoding_message_size(REQUEST_BYTES),
            )
            .route_service(&v1, description().build_v1()?.max_decoding_message_size(REQUEST_BYTES))
            .route_service(
                &v1alpha,
                description().build_v1alpha()?.max_decoding_message_size(REQUEST_BYTES),
            )
            .fallback(unknown);
        Ok(Self {
            front: Arc::new(Front::new(handles, pacer, metrics)),
            routes,
        })
    }
}

async fn unknown() -> Response<Body> {
    Status::unimplemented("there is no such service: this port has blindbit.oracle.v1.OracleService").into_http()
}

impl Service<Request<Body>> for GrpcApi {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (front, routes) = (Arc::clone(&self.front), self.routes.clone());
        Box::pin(async move { Ok(front.answer(routes, request).await) })
    }
}

impl std::fmt::Debug for GrpcApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrpcApi").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
