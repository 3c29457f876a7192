//! What the handlers see of the relay.

use std::sync::Arc;

use axum::extract::State;
use sdk_relay_chain::ChainSource;
use sdk_relay_index::Index;
use sdk_relay_service::Settings;
use sdk_relay_transport::AnswerBudget;

/// The handles that the routes need.
pub struct Handles {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// The node, or the development chain: for broadcasting.
    pub chain: Arc<dyn ChainSource>,
    /// The tweak index; `None` where `index.enabled` is off.
    pub index: Option<Index>,
    /// Memory for answers that are not read.
    pub answers: Arc<AnswerBudget>,
}

/// Extracts them.
pub(crate) type HandlesState = State<Arc<Handles>>;
