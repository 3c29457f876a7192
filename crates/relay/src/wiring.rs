//! What the edges are together: one function for each port that several of them serve.

use std::sync::Arc;

use sdk_relay_http::Front;
use sdk_relay_service::Context;

/// The HTTP API: its own routes and those of the other edges.
pub fn http_api(cx: &Arc<Context>) -> Front {
    sdk_relay_http::api(
        Arc::clone(cx),
        vec![sdk_relay_blindbit::edge(cx), sdk_relay_ws::edge(cx)],
    )
}
