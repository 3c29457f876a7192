//! The dashboard: a page that shows an operator what the relay does, at `GET /` and `GET /dashboard`.
//!
//! The page is static. It reads the HTTP API and the WebSocket API of the relay that serves it, with the tokens that
//! its user types, so that it can show nothing that these APIs do not allow. It loads nothing from other hosts: the
//! content security policy forbids it, as it forbids inline scripts and styles.

mod assets;
mod bundle;
mod page;

use axum::Router;
use axum::routing::get;
use sdk_relay_http_common::{Access, Edge};
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(paths(page::dashboard, assets::asset))]
struct Described;

/// The routes. None requires a token: the page asks for it when the API does.
pub fn edge() -> Edge {
    Edge {
        routes: Router::new()
            .route("/", get(page::root))
            .route("/dashboard", get(page::dashboard))
            .route("/dashboard/{version}/{file}", get(assets::asset)),
        access: Access::Open,
        any_page_posts: &[],
        description: Described::openapi(),
        rate_limiter: None,
    }
}

#[cfg(test)]
mod tests;
