//! Progress of the index.

use std::time::Instant;

use sdk_relay_chain::BlockRef;
use sdk_relay_protocol::{MissingBlocks, MissingReason};

/// State of the builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// No request to the node has been answered yet.
    Starting,
    /// Blocks are missing between the index and the node's tip.
    Building,
    /// The index has reached the tip of the node.
    Current,
    /// It cannot continue for this reason; it retries.
    Failing(String),
}

/// Status of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexStatus {
    /// State of the builder.
    pub state: IndexState,
    /// Since when it is in this state.
    pub since: Instant,
    /// `index.start_height`, or the lower height from which an existing index was built.
    pub start_height: u32,
    /// Lowest height of the index, now or when it is built.
    pub first: u32,
    /// Whether `first` is final: the index has a block, or the node has reported its lowest block.
    pub first_is_known: bool,
    /// Its newest block.
    pub tip: Option<BlockRef>,
    /// Height of the tip of the node at the last request; that of its best header while it synchronises.
    pub target: Option<u32>,
    /// Whether the node was in its initial block download at the last request.
    pub node_is_syncing: bool,
}

/// Cost of the build so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct IndexFigures {
    /// Blocks added.
    pub blocks: u64,
    /// Transactions processed.
    pub transactions: u64,
    /// Eligible ones among them.
    pub eligible: u64,
    /// Seconds in which the builder waited for blocks from the node.
    pub waited_for_node: f64,
    /// Seconds in which it waited for tweaks to be computed.
    pub waited_for_tweaks: f64,
    /// Seconds in which it waited for the disk.
    pub waited_for_disk: f64,
}

impl IndexStatus {
    /// Progress of the build, from 0 to 1.
    pub fn progress(&self) -> f64 {
        match (self.tip, self.target) {
            (Some(tip), Some(target)) if tip.height < target => {
                f64::from(tip.height.saturating_sub(self.first) + 1) / f64::from(target.saturating_sub(self.first) + 1)
            }
            // The node does not know the height of the chain yet.
            (Some(_), _) if self.node_is_syncing => 0.0,
            (Some(_), _) => 1.0,
            (None, _) => 0.0,
        }
    }

    /// The blocks from `from` that are below the first of the index, in order.
    pub fn missing_below(&self, from: u32) -> Vec<MissingBlocks> {
        let range = |from: u32, end: u32, reason| {
            (from < end).then(|| MissingBlocks {
                from,
                to: end - 1,
                reason,
            })
        };
        let below_start = range(from, self.start_height.min(self.first), MissingReason::BelowStartHeight);
        let pruned = range(from.max(self.start_height), self.first, MissingReason::Pruned);
        below_start.into_iter().chain(pruned).collect()
    }

    /// Name of the state in `/health`.
    pub fn as_str(&self) -> &'static str {
        match self.state {
            IndexState::Starting => "starting",
            IndexState::Building => "building",
            IndexState::Current => "current",
            IndexState::Failing(_) => "failing",
        }
    }
}
