//! The common processing of calls: who may call, limits, deadlines and counters.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use sdk_relay_service::may_read;
use sdk_relay_transport::{AddressPermit, ClientAddress, ListenerState, Peer, Shutdown};
use tokio::time::{Instant, timeout, timeout_at};
use tonic::Status;
use tower::Service;

use super::answer::{Answer, Parts};
use super::caller::Caller;
use super::deadline::{exceeded, timeout_of};
use super::limits::{CallPermits, Kind};
use super::metrics::{Counted, GrpcMetrics};
use super::paths::{CALLS, ORACLE, REFLECTION, REQUEST_BYTES};
use crate::rate_limit::RequestPacer;
use crate::state::Handles;

/// Longest call: longer than a scan of the whole chain takes. It keeps the arithmetic of deadlines within its types.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);
/// A message has a flag and its length before it.
const MESSAGE_HEAD: usize = 5;

/// What stands before the calls.
pub(super) struct Front {
    handles: Arc<Handles>,
    pacer: RequestPacer,
    metrics: GrpcMetrics,
    permits: CallPermits,
}

impl Front {
    pub(super) fn new(handles: Arc<Handles>, pacer: RequestPacer, metrics: GrpcMetrics) -> Self {
        Self {
            handles,
            pacer,
            metrics,
            permits: CallPermits::default(),
        }
    }

    pub(super) async fn answer(&self, routes: Router, request: Request<Body>) -> Response<Body> {
        if !is_grpc(&request) {
            return no_grpc();
        }
        let mut counted = self.metrics.begin(request.uri().path());
        match self.accepted(routes, request, &mut counted).await {
            Ok((response, parts)) => Answer::of(response, counted, parts),
            Err(status) => {
                counted.ended(status.code());
                status.into_http()
            }
        }
    }

    async fn accepted(
        &self,
        mut routes: Router,
        mut request: Request<Body>,
        counted: &mut Counted,
    ) -> Result<(Response<Body>, Parts), Status> {
        let (client, ending) = self.caller(&request)?;
        if !may_read(&self.handles.settings.now().auth, request.headers()) {
            return Err(Status::unauthenticated(
                if request.headers().contains_key(AUTHORIZATION) {
                    "the metadata `authorization: Bearer TOKEN` does not have the auth.read_token of this relay"
                } else {
                    "this relay needs a token: send the metadata `authorization: Bearer TOKEN`, with its auth.read_token"
                },
            ));
        }
        let path = request.uri().path();
        if let Some(call) = path.strip_prefix(ORACLE)
            && !CALLS.contains(&call)
        {
            return Err(Status::unimplemented(format!(
                "there is no such call; those of this service are {}",
                CALLS.join(", ")
            )));
        }
        let is_reflection = REFLECTION.iter().any(|prefix| path.starts_with(prefix));
        let kind = match path.strip_prefix(ORACLE) {
            Some(call) if !call.starts_with("Stream") => Kind::Single,
            _ => Kind::Stream,
        };
        let most = if is_reflection {
            self.handles.timeouts.reflection
        } else {
            LONGEST
        };
        let limit = timeout_of(request.headers())?.map_or(most, |limit| limit.min(most));
        let deadline = Instant::now() + limit;
        let permit = timeout_at(deadline, self.permit(client, kind))
            .await
            .map_err(|_| exceeded())??;
        let permit = Arc::new(permit);
        if !is_reflection {
            request = self.whole(request).await?;
        }
        request.extensions_mut().insert(Caller {
            address: client,
            ending,
            permit: Arc::clone(&permit),
        });
        let response = timeout_at(deadline, routes.call(request)).await;
        let response = response.map_err(|_| exceeded())?;
        let response = response.unwrap_or_else(|never| match never {});
        if let Some(status) = Status::from_header_map(response.headers()) {
            counted.ended(status.code());
        }
        let parts = Parts {
            client,
            budget: Arc::clone(&self.handles.answers),
            within: self.handles.timeouts.memory,
            deadline,
            permit,
        };
        Ok((response, parts))
    }

    /// The address of the client, and the shutdown of its listener.
    fn caller(&self, request: &Request<Body>) -> Result<(IpAddr, Shutdown), Status> {
        let (peer, listener) = (
            request.extensions().get::<Peer>().copied(),
            request.extensions().get::<Arc<ListenerState>>(),
        );
        let (Some(Peer(peer)), Some(listener)) = (peer, listener) else {
            tracing::error!("a call has no client address: please report this bug");
            return Err(Status::internal("internal error; the log of the relay has the details"));
        };
        let proxies = &self.handles.settings.now().trusted_proxies;
        let address = ClientAddress::of(proxies, peer, request.headers()).ip();
        Ok((address, listener.ending.clone()))
    }

    /// Waits for the turn of a call among the requests of its address, and for a permit.
    async fn permit(&self, client: IpAddr, kind: Kind) -> Result<AddressPermit, Status> {
        let paced = self.pacer.pace(client, 1).await;
        paced.map_err(|refusal| Status::resource_exhausted(refusal.to_string()))?;
        self.permits.acquire(client, kind, self.handles.timeouts.memory).await
    }

    /// The request with its one message complete.
    async fn whole(&self, request: Request<Body>) -> Result<Request<Body>, Status> {
        let (head, body) = request.into_parts();
        let limit = self.handles.timeouts.request;
        let body = timeout(limit, Limited::new(body, REQUEST_BYTES + MESSAGE_HEAD).collect()).await;
        let body: Bytes = match body {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                let most = REQUEST_BYTES;
                return Err(Status::resource_exhausted(format!("the request exceeds {most} bytes")));
            }
            Ok(Err(_)) => return Err(Status::cancelled("the request has ended early")),
            Err(_) => {
                let seconds = limit.as_secs();
                return Err(Status::deadline_exceeded(format!(
                    "the request was not complete within {seconds} s"
                )));
            }
        };
        Ok(Request::from_parts(head, Body::from(body)))
    }
}

fn is_grpc(request: &Request<Body>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    request.method() == Method::POST && kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

/// As the specification of gRPC requires.
fn no_grpc() -> Response<Body> {
    let text = "this port speaks gRPC (blindbit.oracle.v1.OracleService); the HTTP API has a port of its own\n";
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}
