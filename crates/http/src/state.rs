//! What the handlers see of the relay.

use std::sync::Arc;

use axum::extract::State;
use sdk_relay_service::Context;

/// Extracts it.
pub(crate) type Cx = State<Arc<Context>>;
