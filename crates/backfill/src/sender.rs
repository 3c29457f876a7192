//! The sending end.

use std::time::{Duration, Instant};

use sdk_relay_protocol::MissingBlocks;

use crate::heights::{Heights, Span, after, height};
use crate::held::Held;
use crate::missing::Missing;
use crate::progress::{Progress, Reported};

/// Bounds for live items that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Items that wait. With more of them, all are sent before the rest of the history.
    pub held: usize,
    /// They wait no longer than this for a scan without progress.
    pub stalled: Duration,
}

/// When live items are sent during a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    /// After the history, so that the subscriber receives everything in order.
    AfterHistory,
    /// At once: the scan may take days.
    AtOnce,
}

/// The range that is to be scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextRange {
    /// The history waits for [`Backfill::settle`].
    Waiting,
    /// From this block through that one.
    Scan {
        /// The lowest block that is not sent.
        from: u32,
        /// The last of the history.
        to: u32,
    },
    /// No block remains.
    Done,
}

/// The history of one subscriber, and the live items that wait for it. States, inputs and outputs: see [the
/// crate](crate).
#[derive(Debug)]
pub struct Backfill<T> {
    requested: Heights,
    limits: Limits,
    /// `None` until the tip at registration is known.
    span: Option<Span>,
    held: Held<T>,
    missing: Missing,
    reported: Reported,
}

impl<T> Backfill<T> {
    /// A request that waits for [`Self::settle`]. Until then, live items are sent at once.
    pub fn new(requested: Heights, limits: Limits) -> Self {
        Self {
            requested,
            limits,
            span: None,
            held: Held::none(),
            missing: Missing::default(),
            reported: Reported::default(),
        }
    }

    /// The blocks that were requested.
    pub fn requested(&self) -> Heights {
        self.requested
    }

    /// Registered at this tip: blocks above it are live. `false` if this was known before; then nothing changes.
    pub fn settle(&mut self, tip: u32, live: Live, now: Instant) -> bool {
        if self.span.is_some() {
            return false;
        }
        self.span = Some(Span::up_to(self.requested, tip));
        if live == Live::AfterHistory {
            self.held = Held::since(now);
        }
        true
    }

    /// What is to be scanned next.
    pub fn next(&self) -> NextRange {
        match self.span.map(|span| span.remaining()) {
            None => NextRange::Waiting,
            Some(Some((from, to))) => NextRange::Scan { from, to },
            Some(None) => NextRange::Done,
        }
    }

    /// The lowest block that is not sent; after the end, the block after those that were. `None` while it waits.
    pub fn position(&self) -> Option<u32> {
        self.span.map(|span| height(span.next))
    }

    /// Whether no block remains.
    pub fn is_over(&self) -> bool {
        self.span.is_some_and(|span| span.is_over())
    }

    /// Blocks that are recorded as missing.
    pub fn missing(&self) -> &[MissingBlocks] {
        self.missing.ranges()
    }

    /// The blocks from `from` through `to` were scanned, and are in the chain. Returns the last of them that is
    /// history: items up to it are to be sent. `None` if the range does not begin at the next block, and must not be
    /// used: a reorganisation has moved the next block meanwhile.
    pub fn scanned(&mut self, from: u32, to: u32, now: Instant) -> Option<u32> {
        let span = self.span.as_mut()?;
        let (next, last) = span.remaining()?;
        if from != next || to < from {
            return None;
        }
        let to = to.min(last);
        span.advance(to);
        self.held.progressed(now);
        Some(to)
    }

    /// These blocks cannot be scanned: the scan continues after them. Returns what of the range is left out; `None` if
    /// the next block is not in it.
    pub fn skip(&mut self, missing: MissingBlocks, now: Instant) -> Option<MissingBlocks> {
        let span = self.span.as_mut()?;
        let (next, last) = span.remaining()?;
        if !(missing.from..=missing.to).contains(&next) {
            return None;
        }
        let left_out = MissingBlocks {
            from: next,
            to: missing.to.min(last),
            reason: missing.reason,
        };
        if span.first == span.next {
            span.first = after(left_out.to);
        }
        span.advance(left_out.to);
        self.held.progressed(now);
        self.missing.push(left_out);
        Some(left_out)
    }

    /// The block at this height was disconnected: the block that replaces it is live.
    pub fn disconnected(&mut self, height: u32) {
        if self.span.as_mut().is_some_and(|span| span.end_below(height)) {
            self.missing.end_below(height);
        }
    }

    /// The chain jumped to this block: all up to it become history, as live detection has not seen them.
    pub fn extend(&mut self, last: u32) {
        if let Some(span) = &mut self.span {
            span.end = span.end.max(after(last));
        }
    }

    /// A live item. Returns the items to send now, in order: none if it waits, or all that waited and this one.
    /// `may_wait`: the caller has capacity for another item that waits.
    pub fn live(&mut self, item: T, may_wait: bool) -> Vec<T> {
        self.held.push(item, if may_wait { self.limits.held } else { 0 })
    }

    /// Returns the items that wait, if the scan has made no progress for too long. From then on none waits.
    pub fn release_stalled(&mut self, now: Instant) -> Vec<T> {
        self.held.release_stalled(now, self.limits.stalled)
    }

    /// Returns the items that wait: at the end of the history. From then on none waits.
    pub fn release(&mut self) -> Vec<T> {
        self.held.release()
    }

    /// The progress to report, if any is due. `tip` is that of the chain, where a history above it ends.
    pub fn progress(&mut self, tip: u32) -> Option<Progress> {
        self.reported.due(self.span.as_ref()?, &mut self.missing, tip)
    }
}
