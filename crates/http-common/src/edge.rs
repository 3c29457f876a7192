//! What another edge adds to the HTTP port. The wiring of the relay hands it to the edge that serves the port: neither
//! knows the other.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use utoipa::openapi::OpenApi;

/// An edge, as the HTTP port sees it.
pub struct Edge {
    /// Its routes, with their state.
    pub routes: Router,
    /// Whether they need `auth.read_token`, where it is set.
    pub needs_read_token: bool,
    /// Paths that a web page of any origin may post to: what is posted changes nothing of the relay.
    pub any_page_posts: &'static [&'static str],
    /// Its part of `/openapi.json`: its paths, schemas and tags.
    pub description: OpenApi,
    /// How often an address may ask, where other limits hold than for the other routes.
    pub pace: Option<Box<dyn Pace>>,
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge")
            .field("routes", &self.routes)
            .field("needs_read_token", &self.needs_read_token)
            .finish_non_exhaustive()
    }
}

/// Limits how often an address may ask for the routes of an edge.
pub trait Pace: Send + Sync {
    /// Whether the request is for a route of the edge. Its path may be brought into the form that the routes have.
    fn claims(&self, request: &mut Request) -> bool;

    /// Waits until the address may ask; an error is the answer to an address that may not.
    fn wait(&self, address: IpAddr) -> Pin<Box<dyn Future<Output = Result<(), Box<Response>>> + Send + '_>>;
}
