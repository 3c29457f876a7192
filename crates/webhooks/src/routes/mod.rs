//! `/webhooks`: what the administrator reads and does.

mod answer;
mod cancel;
mod enable;
mod list;
mod replay;
mod test;

use axum::Router;
use axum::routing::{get, post};
use sdk_relay_http_common::{Access, Edge};
use utoipa::OpenApi;

use crate::webhooks::Webhooks;

#[derive(OpenApi)]
#[openapi(
    paths(list::list, test::test, replay::replay, cancel::cancel, enable::enable),
    tags((name = "Webhooks", description = "Endpoints that the relay posts events to"))
)]
struct Described;

impl Webhooks {
    /// The routes, for the administrator.
    pub fn edge(&self) -> Edge {
        Edge {
            routes: Router::new()
                .route("/webhooks", get(list::list))
                .route("/webhooks/{name}/test", post(test::test))
                .route("/webhooks/{name}/replay", post(replay::replay))
                .route("/webhooks/{name}/replay/cancel", post(cancel::cancel))
                .route("/webhooks/{name}/enable", post(enable::enable))
                .with_state(self.clone()),
            access: Access::Admin,
            any_page_posts: &[],
            description: Described::openapi(),
            rate_limiter: None,
        }
    }
}
