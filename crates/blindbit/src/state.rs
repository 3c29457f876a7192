//! Handles of the routes.

use std::sync::Arc;

use axum::extract::State;
use sdk_relay_chain::ChainSource;
use sdk_relay_index::Index;
use sdk_relay_service::Settings;
use sdk_relay_transport::AnswerBudget;

use crate::timeouts::Timeouts;

/// The handles that the routes and the calls need.
pub struct Handles {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// The node, or the development chain: for broadcasting.
    pub chain: Arc<dyn ChainSource>,
    /// The tweak index; `None` if `index.enabled` is false.
    pub index: Option<Index>,
    /// Memory of unread answers.
    pub answers: Arc<AnswerBudget>,
    /// How long requests may wait.
    pub timeouts: Timeouts,
}

/// Extractor of the handles.
pub(crate) type HandlesState = State<Arc<Handles>>;
