//! The handover from the history of a watch to live detection.
//!
//! A watch is live from its registration: payments in blocks that connect after it are sent as they are found. Its history is the blocks up to the tip
//! at that moment, `until`. When one of these is disconnected, `until` becomes the height of its parent: the block that replaces it connects later, and
//! is sent live. So each block is either at or below `until` and sent by the scan, or above it and sent live; never both, never neither.
//!
//! Before detection knows its first block, there is no tip at which the history could end: the request waits for that block.
//!
//! A block that cannot be scanned is recorded in `missing`, and the scan continues after it.
//!
//! While the index is complete, live notifications wait until the history is sent, so that a client gets all in order. Building the index can take
//! days: meanwhile live notifications are sent at once.

use std::time::{Duration, Instant};

use sdk_relay_chain::BlockRef;
use sdk_relay_index::{IndexStatus, NEARLY};
use sdk_relay_protocol::{HistoryState, MissingBlocks, MissingReason};

use super::mailbox::QueuedFrame;

/// Live notifications that wait for the end of a scan. With more of them, the client gets them before the rest of its history. Their bytes count in
/// the mailbox of the connection, of whose capacity they may use half.
pub(super) const HELD: usize = 1024;
/// Live notifications wait no longer than this for a scan without progress: a block of the index may have to be restored first, from a node that
/// does not answer, or the disk may fail.
const STALLED_AT_MOST: Duration = Duration::from_secs(30);
/// Progress is sent in steps of this much.
const STEP: f64 = 0.01;
/// Ranges of missing blocks that are kept for a watch. With more of them the last one is extended over what lies between: it then names
/// more blocks than are missing, never fewer.
const RANGES: usize = 64;

/// A range of heights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heights {
    /// The first.
    pub from: u32,
    /// The last; `None`: the tip.
    pub to: Option<u32>,
}

/// The part of a history that is not sent yet.
#[derive(Debug)]
pub(super) struct Backfill {
    requested: Heights,
    /// `None` until detection knows its first block.
    span: Option<Span>,
    /// Live notifications that wait for the end; `None`: they are sent at once.
    held: Option<Vec<QueuedFrame>>,
    /// When the scan made progress last.
    last_progress: Instant,
    missing: Vec<MissingBlocks>,
    /// `missing` has changed since it was sent.
    missing_is_unreported: bool,
    reported: Option<f64>,
}

/// The blocks of a history.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// The first that is scanned, for the share of progress.
    first: u32,
    /// The lowest block that has not been sent.
    next: u32,
    /// The highest block that is history.
    until: u32,
}

/// What the answer to the registration says of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPlan {
    /// What becomes of the history.
    pub state: HistoryState,
    /// The first block at or above the requested one that is scanned; `None` while that is not known.
    pub start_height: Option<u32>,
    /// Blocks that are known to be missing.
    pub missing: Vec<MissingBlocks>,
}

impl HistoryPlan {
    /// No history was asked for.
    pub(super) fn live_only() -> Self {
        Self {
            state: HistoryState::None,
            start_height: None,
            missing: Vec::new(),
        }
    }
}

/// Where a scan continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextScan {
    /// The next block, and the last.
    Go { next: u32, until: u32 },
    /// The scanned range is of another chain than detection's: the index, or detection, is about to follow.
    Stale { next: u32, until: u32 },
    /// All is sent, or the watch has ended.
    Done,
}

impl Backfill {
    /// A request that waits for [`Self::settle`].
    pub(super) fn new(requested: Heights) -> Self {
        Self {
            requested,
            span: None,
            held: None,
            last_progress: Instant::now(),
            missing: Vec::new(),
            missing_is_unreported: false,
            reported: None,
        }
    }

    /// Blocks that live detection did not see, where there is no index to scan them in.
    pub(super) fn unseen(from: u32, to: u32) -> Self {
        let mut backfill = Self::new(Heights { from, to: Some(to) });
        backfill.span = Some(Span {
            first: from,
            next: from,
            until: to,
        });
        backfill.skip(MissingBlocks {
            from,
            to,
            reason: MissingReason::Unseen,
        });
        backfill
    }

    /// Sets the history's end, once detection knows its tip. `false` where that was done before.
    pub(super) fn settle(&mut self, tip: u32, index: &IndexStatus) -> bool {
        if self.span.is_some() {
            return false;
        }
        let Heights { from, to } = self.requested;
        let until = to.unwrap_or(u32::MAX).min(tip);
        self.span = Some(Span {
            first: from,
            next: from,
            until,
        });
        let whole = index.tip.is_some_and(|t| t.height.saturating_add(NEARLY) >= until);
        self.held = whole.then(Vec::new);
        self.last_progress = Instant::now();
        if index.first_is_known {
            self.skip_below(index);
        }
        true
    }

    /// Leaves out what lies below the index's first block.
    pub(super) fn skip_below(&mut self, index: &IndexStatus) {
        let from = self.next().unwrap_or(self.requested.from);
        for range in index.missing_below(from) {
            self.skip(range);
        }
    }

    /// These blocks cannot be scanned: the scan continues after them.
    pub(super) fn skip(&mut self, MissingBlocks { from, to, reason }: MissingBlocks) {
        let Some(span) = &mut self.span else { return };
        let to = to.min(span.until);
        if from > span.next || to < span.next {
            return;
        }
        let range = MissingBlocks {
            from: span.next,
            to,
            reason,
        };
        if span.first == span.next {
            span.first = to.saturating_add(1);
        }
        span.next = to.saturating_add(1);
        self.last_progress = Instant::now();
        self.missing_is_unreported = true;
        let is_full = self.missing.len() == RANGES;
        match self.missing.last_mut() {
            Some(last) if last.reason == reason && last.to.saturating_add(1) == range.from => last.to = to,
            Some(last) if is_full => last.to = to,
            _ => self.missing.push(range),
        }
    }

    /// Blocks that live detection did not see, up to and including this one, become history.
    pub(super) fn extend(&mut self, until: u32) {
        if let Some(span) = &mut self.span {
            span.until = span.until.max(until);
        }
    }

    /// What the answer to the registration says; `tip` is detection's.
    pub(super) fn plan(&self, tip: Option<u32>, index: &IndexStatus) -> HistoryPlan {
        let Heights { from, to } = self.requested;
        let missing = match self.span {
            Some(_) => self.missing.clone(),
            None if index.first_is_known => {
                let ranges = index.missing_below(from).into_iter();
                let last = to.unwrap_or(u32::MAX);
                let clipped = ranges.filter(|r| r.from <= last).map(|r| MissingBlocks {
                    to: r.to.min(last),
                    ..r
                });
                clipped.collect()
            }
            None => Vec::new(),
        };
        let (state, start_height) = match (self.span, tip) {
            // Live detection scans what comes after the tip.
            (Some(span), Some(tip)) if span.next > span.until => {
                (HistoryState::None, Some(from.max(tip.saturating_add(1))))
            }
            (Some(span), _) if index.first_is_known => {
                let is_there = index.tip.is_some_and(|t| t.height >= span.next);
                let state = if is_there {
                    HistoryState::Scanning
                } else {
                    HistoryState::Waiting
                };
                (state, Some(span.next))
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

    /// The lowest block that has not been sent; `None` before the request is settled.
    pub(super) fn next(&self) -> Option<u32> {
        self.span.map(|span| span.next)
    }

    /// The next block and the last; `None` before the request is settled.
    pub(super) fn range(&self) -> Option<(u32, u32)> {
        self.span.map(|span| (span.next, span.until))
    }

    pub(super) fn is_over(&self) -> bool {
        self.span.is_some_and(|span| span.next > span.until)
    }

    /// Everything up to this block was sent.
    pub(super) fn through(&mut self, at: BlockRef) {
        if let Some(span) = &mut self.span {
            span.next = span.next.max(at.height.min(span.until).saturating_add(1));
            self.last_progress = Instant::now();
        }
    }

    /// A block was disconnected: the block that replaces it is sent live.
    pub(super) fn disconnected(&mut self, height: u32) {
        let Some(span) = &mut self.span else { return };
        if height <= span.until {
            // Below the genesis block there is nothing: a chain cannot lose it.
            span.until = height.saturating_sub(1);
            span.next = span.next.min(height);
            self.missing.retain(|range| range.from < height);
            if let Some(last) = self.missing.last_mut() {
                last.to = last.to.min(height.saturating_sub(1));
            }
        }
    }

    /// Keeps a live notification for later. Returns it, with all that waited, if it must not wait.
    pub(super) fn hold(&mut self, frame: QueuedFrame) -> Vec<QueuedFrame> {
        match &mut self.held {
            Some(held) if held.len() < HELD => {
                held.push(frame);
                Vec::new()
            }
            _ => {
                let mut all = self.release();
                all.push(frame);
                all
            }
        }
    }

    /// If the scan has made no progress for too long, returns the notifications that waited, in order; from then on none waits.
    pub(super) fn release_stalled(&mut self, now: Instant) -> Vec<QueuedFrame> {
        if now.saturating_duration_since(self.last_progress) < STALLED_AT_MOST {
            return Vec::new();
        }
        self.release()
    }

    /// Returns the notifications that waited, in order.
    pub(super) fn release(&mut self) -> Vec<QueuedFrame> {
        self.held.take().unwrap_or_default()
    }

    /// The progress to send, if it has changed enough: 0 at the beginning, each further hundredth, newly missing blocks, and 1 at the end. `tip` is detection's: a history that lies above it ends there.
    pub(super) fn progress(&mut self, tip: u32) -> Option<Progress> {
        let Span { first, next, until } = self.span?;
        let is_over = next > until;
        let all = f64::from(until.saturating_sub(first).saturating_add(1));
        let share = if is_over {
            1.0
        } else {
            f64::from(next.saturating_sub(first)) / all
        };
        let share = share.clamp(self.reported.unwrap_or(0.0), 1.0);
        let is_due = self
            .reported
            .is_none_or(|last| share >= last + STEP || (share >= 1.0 && last < 1.0) || self.missing_is_unreported);
        if !is_due || self.reported.is_some_and(|last| last >= 1.0) {
            return None;
        }
        self.reported = Some(share);
        let with_missing = std::mem::take(&mut self.missing_is_unreported) || is_over;
        Some(Progress {
            share,
            height: next.saturating_sub(1).min(tip),
            missing: if with_missing { self.missing.clone() } else { Vec::new() },
        })
    }
}

/// The progress of a history.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Progress {
    pub(super) share: f64,
    /// All blocks up to this one are sent, or missing.
    pub(super) height: u32,
    pub(super) missing: Vec<MissingBlocks>,
}

#[cfg(test)]
mod tests;
