//! Common processing of every request, before the routes: metrics, rate limit of the client address, checks of host and
//! origin, timeout, and the memory budget of answers.

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use hyper::StatusCode;
use sdk_relay_echo::short;
use sdk_relay_http_common::{ApiError, RateLimiter, unread};
use sdk_relay_service::{CheckedHost, RequestHost};
use sdk_relay_transport::{ClientAddress, Peer};
use tower::Service;
use tracing::Instrument as _;

use crate::access::AddressLimiter;
use crate::origins::Page;
use crate::state::Handles;

/// Timeout of an answer. Only requests to the node take long.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The HTTP API as a service. Requests carry a [`Peer`] as an extension.
#[derive(Clone)]
pub struct Front {
    routes: Router,
    limits: Arc<Limits>,
}

struct Limits {
    handles: Arc<Handles>,
    rate_limiter: AddressLimiter,
    /// Rate limits of edges with separate ones.
    edge_limiters: Vec<Box<dyn RateLimiter>>,
    /// Paths to which any page may post.
    any_page_posts: Vec<&'static str>,
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front")
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}

impl Front {
    pub(super) fn new(
        routes: Router,
        handles: Arc<Handles>,
        edge_limiters: Vec<Box<dyn RateLimiter>>,
        any_page_posts: Vec<&'static str>,
    ) -> Self {
        let rate_limiter = AddressLimiter::new(handles.settings.now().requests_per_second);
        Self {
            routes,
            limits: Arc::new(Limits {
                handles,
                rate_limiter,
                edge_limiters,
                any_page_posts,
            }),
        }
    }

    async fn answer(mut self, mut request: Request) -> Response {
        let Limits {
            handles,
            rate_limiter,
            edge_limiters,
            any_page_posts,
        } = &*self.limits;
        handles.requests.http_requests.inc();
        let Some(Peer(peer)) = request.extensions().get().copied() else {
            tracing::error!("a request has no client address: please report this bug");
            return ApiError::internal().into_response();
        };
        let config = handles.settings.now();
        let client = ClientAddress::of(&config.trusted_proxies, peer, request.headers());
        let limited = match edge_limiters
            .iter()
            .find(|rate_limiter| rate_limiter.claims(&mut request))
        {
            Some(rate_limiter) => rate_limiter.wait(client.ip()).await,
            None => rate_limiter.check(client.ip()),
        };
        if let Err(refused) = limited {
            return *refused;
        }
        let host = match RequestHost::of(&request) {
            Ok(host) => CheckedHost(host.filter(|host| host.is_checked(&config))),
            Err(error) => return ApiError::new(StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        };
        let page = match Page::of(&request, &config, host.0.as_ref(), any_page_posts) {
            Ok(page) => page,
            Err(refused) => return refused.into_response(),
        };
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(host);
        let response = match page.as_ref().and_then(Page::preflight) {
            Some(response) => response,
            None => {
                let span = tracing::debug_span!(
                    "request",
                    method = short(request.method().as_str()),
                    path = short(request.uri().path())
                );
                let response = within(ANSWER_WITHIN, self.routes.call(request)).instrument(span).await;
                unread::within(&handles.answers, client.ip(), response).await
            }
        };
        match page {
            Some(page) => page.allow(response),
            None => response,
        }
    }
}

async fn within(time: Duration, answer: impl Future<Output = Result<Response, Infallible>>) -> Response {
    match tokio::time::timeout(time, sound(answer)).await {
        Ok(response) => response,
        Err(_) => ApiError::unavailable("no answer within 60 s: the node may be slow; try again later").into_response(),
    }
}

/// A panic is logged, and the client receives a 500 without details.
async fn sound(answer: impl Future<Output = Result<Response, Infallible>>) -> Response {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => response,
        Err(panic) => {
            tracing::error!(
                error = words(&*panic),
                "a request caused a panic: please report this bug"
            );
            ApiError::internal().into_response()
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or_default()
}

impl<B> Service<hyper::Request<B>> for Front
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        // Routes are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: hyper::Request<B>) -> Self::Future {
        let front = self.clone();
        Box::pin(async move { Ok(front.answer(request.map(Body::new)).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_500_and_nothing_more() {
        let broken = async { panic!("the key is 0123456789abcdef") };
        let response = sound(broken).await;
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["status"], 500);
        assert!(!problem.to_string().contains("0123456789abcdef"), "{problem}");
        assert_eq!(sound(async { Ok("sound".into_response()) }).await.status(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timed_out_answer_is_a_503() {
        let response = within(ANSWER_WITHIN, std::future::pending()).await;
        assert_eq!(response.status(), 503);
    }
}
