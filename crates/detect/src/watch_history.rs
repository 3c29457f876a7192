//! The history of a watch, read from the tweak index: the handover to live detection is [`sdk_relay_backfill`]'s.
//!
//! Before detection knows its first block, there is no tip at which the history could end: the request waits for that
//! block.
//!
//! While the index is complete, live notifications wait until the history is sent, so that a client receives all in
//! order. Building the index can take days: meanwhile live notifications are sent at once.

use std::time::Duration;

use sdk_relay_backfill::{Backfill, Heights, Limits, Live, NextRange};
use sdk_relay_index::{IndexStatus, NEARLY};
use sdk_relay_platform::clock;
use sdk_relay_protocol::{HistoryState, MissingBlocks, MissingReason};

use super::queued::QueuedMessage;

/// Bounds for live notifications that wait for the end of a scan. Above them, the client receives the notifications
/// before the rest of its history. Their bytes count in the mailbox of the connection, and may use half of its
/// capacity. They do not wait long for a scan without progress: a block of the index may have to be restored first,
/// from a node that does not answer, or the disk may fail.
const LIMITS: Limits = Limits {
    held: 1024,
    stalled: Duration::from_secs(30),
};

/// The part of a history that is not sent yet.
pub(super) type WatchHistory = Backfill<QueuedMessage>;

/// The field about the history in the answer to the registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPlan {
    /// What becomes of the history.
    pub state: HistoryState,
    /// The first scanned block at or above the requested one; `None` while unknown.
    pub start_height: Option<u32>,
    /// Blocks that are known to be missing.
    pub missing: Vec<MissingBlocks>,
}

impl HistoryPlan {
    /// No history was requested.
    pub(super) fn live_only() -> Self {
        Self {
            state: HistoryState::None,
            start_height: None,
            missing: Vec::new(),
        }
    }
}

/// A request that waits for [`settle`].
pub(super) fn requested(heights: Heights) -> WatchHistory {
    Backfill::new(heights, LIMITS)
}

/// Blocks that live detection did not process, without an index to scan them.
pub(super) fn unseen(from: u32, to: u32) -> WatchHistory {
    let mut history = requested(Heights { from, to: Some(to) });
    let now = clock::monotonic();
    history.settle(to, Live::AtOnce, now);
    let missing = MissingBlocks {
        from,
        to,
        reason: MissingReason::Unseen,
    };
    history.skip(missing, now);
    history
}

/// Sets the end of the history, once detection knows its tip. `false` if it was set before.
pub(super) fn settle(history: &mut WatchHistory, tip: u32, index: &IndexStatus) -> bool {
    let last = history.requested().to.unwrap_or(u32::MAX).min(tip);
    let is_whole = index.tip.is_some_and(|t| t.height.saturating_add(NEARLY) >= last);
    let live = if is_whole { Live::AfterHistory } else { Live::AtOnce };
    let now = clock::monotonic();
    if !history.settle(tip, live, now) {
        return false;
    }
    if index.first_is_known {
        let from = history.requested().from;
        for range in index.missing_below(from) {
            history.skip(range, now);
        }
    }
    true
}

/// The state for the answer to the registration; `tip` is that of detection.
pub(super) fn plan(history: &WatchHistory, tip: Option<u32>, index: &IndexStatus) -> HistoryPlan {
    let Heights { from, to } = history.requested();
    let missing = match history.next() {
        NextRange::Waiting if index.first_is_known => {
            let ranges = index.missing_below(from).into_iter();
            let last = to.unwrap_or(u32::MAX);
            let clipped = ranges.filter(|r| r.from <= last).map(|r| MissingBlocks {
                to: r.to.min(last),
                ..r
            });
            clipped.collect()
        }
        _ => history.missing().to_vec(),
    };
    let (state, start_height) = match (history.position(), tip) {
        // Live detection scans what comes after the tip.
        (Some(_), Some(tip)) if history.is_over() => (HistoryState::None, Some(from.max(tip.saturating_add(1)))),
        (Some(next), _) if index.first_is_known => {
            let is_there = index.tip.is_some_and(|t| t.height >= next);
            let state = if is_there {
                HistoryState::Scanning
            } else {
                HistoryState::Waiting
            };
            (state, Some(next))
        }
        (None, _) if index.first_is_known => (HistoryState::Waiting, Some(from.max(index.first))),
        _ => (HistoryState::Waiting, None),
    };
    HistoryPlan {
        state,
        start_height,
        missing,
    }
}

#[cfg(test)]
mod tests;
