//! How far the index is.

use std::time::Instant;

use sdk_relay_chain::BlockRef;
use sdk_relay_protocol::{MissingBlocks, MissingReason};

/// What the builder does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// The node has not been asked yet.
    Starting,
    /// Blocks are missing between the index and the node's tip.
    Building,
    /// The index holds the node's tip.
    Current,
    /// It cannot go on for now, and why; it tries again.
    Failing(String),
}

/// Where the index stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexStatus {
    /// What the builder does.
    pub state: IndexState,
    /// Since when it does that.
    pub since: Instant,
    /// `index.start_height`, or the lower one that an older index was built from.
    pub start_height: u32,
    /// Lowest height that the index has, or will have.
    pub first: u32,
    /// The index has a block, or the node has said which is the lowest that it keeps: before that, `first` may turn out
    /// to be higher.
    pub first_is_known: bool,
    /// The newest block in it.
    pub tip: Option<BlockRef>,
    /// Height of the node's tip when it was last asked; that of its best header while it synchronises.
    pub target: Option<u32>,
    /// The node was busy with its initial block download when it was last asked.
    pub node_is_syncing: bool,
}

/// What building has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct IndexFigures {
    /// Blocks added.
    pub blocks: u64,
    /// Transactions looked at.
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
    /// How much of the index is there, from 0 to 1.
    pub fn progress(&self) -> f64 {
        match (self.tip, self.target) {
            (Some(tip), Some(target)) if tip.height < target => {
                f64::from(tip.height.saturating_sub(self.first) + 1) / f64::from(target.saturating_sub(self.first) + 1)
            }
            // The node itself does not know yet how far the chain goes.
            (Some(_), _) if self.node_is_syncing => 0.0,
            (Some(_), _) => 1.0,
            (None, _) => 0.0,
        }
    }

    /// The blocks from `from` on that lie below the index's first, in order.
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

    /// The state's name in `/health`.
    pub fn as_str(&self) -> &'static str {
        match self.state {
            IndexState::Starting => "starting",
            IndexState::Building => "building",
            IndexState::Current => "current",
            IndexState::Failing(_) => "failing",
        }
    }
}
