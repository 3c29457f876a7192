//! The part that another edge adds to the HTTP port. The wiring of the relay passes it to the edge that serves the
//! port, so the two edges are independent.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use utoipa::openapi::OpenApi;

/// The interface of an edge to the HTTP port.
pub struct Edge {
    /// Its routes, with their state.
    pub routes: Router,
    /// Who may use them.
    pub access: Access,
    /// Paths that a web page of any origin may post to: these requests do not change the relay.
    pub any_page_posts: &'static [&'static str],
    /// Its part of `/openapi.json`: its paths, schemas and tags.
    pub description: OpenApi,
    /// The rate limit of its routes, if it differs from that of other routes.
    pub rate_limiter: Option<Box<dyn RateLimiter>>,
}

/// Who may use the routes of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// Those who may read: with `auth.read_token`, if it is set.
    Read,
    /// The administrator.
    Admin,
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge")
            .field("routes", &self.routes)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

/// Rate limit of the routes of an edge, per address.
pub trait RateLimiter: Send + Sync {
    /// Whether the request is for a route of the edge. May normalise its path.
    fn claims(&self, request: &mut Request) -> bool;

    /// Waits until the request may proceed; the error is the answer to a refused one.
    fn wait(&self, address: IpAddr) -> Pin<Box<dyn Future<Output = Result<(), Box<Response>>> + Send + '_>>;
}
