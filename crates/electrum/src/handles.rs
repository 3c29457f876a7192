//! The parts of the relay that connections use.

use std::sync::Arc;

use sdk_relay_chain::ChainSource;
use sdk_relay_detect::Detection;
use sdk_relay_events::Hub;
use sdk_relay_index::Index;
use sdk_relay_service::{FeeSource, FirstBlocks, KeyWork, Settings};
use sdk_relay_telemetry::Traffic;
use sdk_relay_transport::{AnswerBudget, InputBudget};
use tokio::sync::watch;

use crate::backend::BackendState;
use crate::label_share::LabelShares;
use crate::metrics::ElectrumMetrics;
use crate::node::Node;
use crate::pace::Paces;
use crate::timeouts::Timeouts;
use crate::tip::{self, Tip};

/// What the edge is given.
pub struct Parts {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// The node.
    pub chain: Arc<dyn ChainSource>,
    /// Fee rates, shared with the HTTP API.
    pub fees: Arc<FeeSource>,
    /// Finds the blocks at which histories since a time begin, shared with the other APIs.
    pub first_blocks: Arc<FirstBlocks>,
    /// Fan-out of events, for the tip.
    pub hub: Arc<Hub>,
    /// Detection, which runs the watches.
    pub detection: Detection,
    /// The tweak index; `None` where `index.enabled` is off.
    pub index: Option<Index>,
    /// Permits for computations with the keys of watches, shared with the WebSocket API.
    pub key_work: Arc<KeyWork>,
    /// Memory budget for incomplete input.
    pub input: Arc<InputBudget>,
    /// Memory budget for answers that clients have not read, shared with the HTTP API.
    pub answers: Arc<AnswerBudget>,
    /// Counters of refused connections.
    pub traffic: Arc<Traffic>,
    /// Counters of this edge.
    pub metrics: ElectrumMetrics,
    /// How long peers may take.
    pub timeouts: Timeouts,
}

/// The handles that a connection needs.
pub struct Handles {
    pub(crate) first_blocks: Arc<FirstBlocks>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) detection: Detection,
    pub(crate) index: Option<Index>,
    pub(crate) key_work: Arc<KeyWork>,
    pub(crate) input: Arc<InputBudget>,
    pub(crate) answers: Arc<AnswerBudget>,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) metrics: ElectrumMetrics,
    pub(crate) timeouts: Timeouts,
    pub(crate) node: Node,
    pub(crate) paces: Paces,
    /// Rates of new subscriptions.
    pub(crate) subscription_paces: Arc<Paces>,
    /// Labels of the watches.
    pub(crate) labels: LabelShares,
    pub(crate) backend: BackendState,
    pub(crate) tip: watch::Receiver<Option<Tip>>,
}

impl Handles {
    /// The handles, and the task that follows the tip for all connections.
    pub fn new(parts: Parts) -> (Arc<Self>, impl Future<Output = ()> + Send + 'static) {
        let (sender, tip) = watch::channel(None);
        let Parts {
            settings,
            chain,
            fees,
            first_blocks,
            hub,
            detection,
            index,
            key_work,
            input,
            answers,
            traffic,
            metrics,
            timeouts,
        } = parts;
        let config = settings.now();
        let labels = LabelShares::new(&config.electrum);
        let subscription_paces = Paces::of_subscriptions(config.electrum.subscriptions_per_connection);
        let backend = BackendState::new(metrics.clone());
        let node = Node::new(Arc::clone(&chain), fees, tip.clone(), timeouts.node);
        let followed = Arc::clone(&hub);
        let follow = async move { tip::follow(&followed, &*chain, timeouts.node, sender).await };
        let handles = Self {
            first_blocks,
            settings,
            hub,
            detection,
            index,
            key_work,
            input,
            answers,
            traffic,
            metrics,
            timeouts,
            node,
            paces: Paces::of_requests(),
            subscription_paces: Arc::new(subscription_paces),
            labels,
            backend,
            tip,
        };
        (Arc::new(handles), follow)
    }
}
