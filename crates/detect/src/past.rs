//! The part of a watch's history that is yet to be scanned, and where it meets live detection.
//!
//! A watch is live from the moment it is registered: whatever connects from then on is sent as it comes. Its history is what lies in blocks
//! up to the tip of that moment, `until`. When one of those is disconnected, `until` goes down to its parent: what takes its place connects
//! anew, and is sent live. So every block is either at or below `until` and sent by the scan, or above it and sent live; never both, never neither.
//!
//! Before detection knows its first block there is no tip to end the history at: the request waits, and is settled by that block.
//!
//! A block that cannot be scanned is recorded in `missing`, and the scan goes on behind it.
//!
//! While the index is whole, live news waits until the history is sent, so that a client gets all in order. While the index is being built
//! that could take days: then live news comes at once.

use std::time::{Duration, Instant};

use sdk_relay_chain::BlockRef;
use sdk_relay_index::{IndexStatus, NEARLY};
use sdk_relay_protocol::{HistoryState, MissingBlocks, MissingReason};

use super::commands::Heights;
use super::mailbox::Letter;

/// Live news that wait for the end of a scan. A client with more of them hears them before the rest of its history. Their bytes count in the
/// connection's mailbox, which holds them to half of its own bound.
pub(super) const HELD: usize = 1024;
/// Live news wait no longer than this for a scan that does not get on: a block of the index may have to be restored first, from a node that is
/// away, or the disk may fail.
const STALLED_AT_MOST: Duration = Duration::from_secs(30);
/// Progress is sent in steps of this much.
const STEP: f64 = 0.01;
/// Ranges of missing blocks that are kept for a watch. With more of them the last one is extended over what lies between: it then names
/// more blocks than are missing, never fewer.
const RANGES: usize = 64;

/// The part of a watch's history that is yet to be sent.
#[derive(Debug)]
pub(super) struct Past {
    requested: Heights,
    /// `None` until detection knows its first block.
    span: Option<Span>,
    /// News that wait for the end; `None`: nothing waits.
    held: Option<Vec<Letter>>,
    /// When the scan got on last.
    got_on: Instant,
    missing: Vec<MissingBlocks>,
    /// The client has not been sent `missing` as it is.
    missing_is_news: bool,
    told: Option<f64>,
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

/// What the client is sent of its history when it is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// What becomes of the history.
    pub state: HistoryState,
    /// The first block at or above the requested one that is scanned; `None` while that is not known.
    pub start_height: Option<u32>,
    /// Blocks that are known to be missing.
    pub missing: Vec<MissingBlocks>,
}

impl Outlook {
    /// No history was asked for.
    pub(super) fn live_only() -> Self {
        Self {
            state: HistoryState::None,
            start_height: None,
            missing: Vec::new(),
        }
    }
}

/// Where a scan is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The next block, and the last.
    Go { next: u32, until: u32 },
    /// What was brought is of another chain than detection's: the index, or detection, is about to follow.
    Stale { next: u32, until: u32 },
    /// All is told, or the watch is gone.
    Done,
}

impl Past {
    /// A request that waits for [`Self::settle`].
    pub(super) fn new(requested: Heights) -> Self {
        Self {
            requested,
            span: None,
            held: None,
            got_on: Instant::now(),
            missing: Vec::new(),
            missing_is_news: false,
            told: None,
        }
    }

    /// Blocks that live detection did not see, where there is no index to scan them in.
    pub(super) fn unseen(from: u32, to: u32) -> Self {
        let mut past = Self::new(Heights { from, to: Some(to) });
        past.span = Some(Span {
            first: from,
            next: from,
            until: to,
        });
        past.skip(MissingBlocks {
            from,
            to,
            reason: MissingReason::Unseen,
        });
        past
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
        self.got_on = Instant::now();
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

    /// These blocks cannot be scanned: the scan goes on behind them, where it stands among them.
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
        self.got_on = Instant::now();
        self.missing_is_news = true;
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
    pub(super) fn outlook(&self, tip: Option<u32>, index: &IndexStatus) -> Outlook {
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
        Outlook {
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
            self.got_on = Instant::now();
        }
    }

    /// A block left the chain: what takes its place is sent live.
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

    /// Keeps news for later. Gives it, with all that waited, where it is not to wait.
    pub(super) fn hold(&mut self, news: Letter) -> Vec<Letter> {
        match &mut self.held {
            Some(held) if held.len() < HELD => {
                held.push(news);
                Vec::new()
            }
            _ => {
                let mut all = self.release();
                all.push(news);
                all
            }
        }
    }

    /// What has waited, in order, where the scan has not got on for too long as of `now`; nothing waits from then on.
    pub(super) fn release_stalled(&mut self, now: Instant) -> Vec<Letter> {
        if now.saturating_duration_since(self.got_on) < STALLED_AT_MOST {
            return Vec::new();
        }
        self.release()
    }

    /// What has waited, in order.
    pub(super) fn release(&mut self) -> Vec<Letter> {
        self.held.take().unwrap_or_default()
    }

    /// What is to be sent of the progress, where it is worth a message: 0 at the beginning, each further hundredth, blocks that turn out to be
    /// missing, and 1 at the end. `tip` is detection's: a history that lies above it ends there.
    pub(super) fn progress(&mut self, tip: u32) -> Option<Progress> {
        let Span { first, next, until } = self.span?;
        let is_over = next > until;
        let all = f64::from(until.saturating_sub(first).saturating_add(1));
        let share = if is_over {
            1.0
        } else {
            f64::from(next.saturating_sub(first)) / all
        };
        let share = share.clamp(self.told.unwrap_or(0.0), 1.0);
        let worth = self
            .told
            .is_none_or(|told| share >= told + STEP || (share >= 1.0 && told < 1.0) || self.missing_is_news);
        if !worth || self.told.is_some_and(|told| told >= 1.0) {
            return None;
        }
        self.told = Some(share);
        let with_missing = std::mem::take(&mut self.missing_is_news) || is_over;
        Some(Progress {
            share,
            height: next.saturating_sub(1).min(tip),
            missing: if with_missing { self.missing.clone() } else { Vec::new() },
        })
    }
}

/// The news of a history's progress.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Progress {
    pub(super) share: f64,
    /// All blocks up to this one are sent, or missing.
    pub(super) height: u32,
    pub(super) missing: Vec<MissingBlocks>,
}

#[cfg(test)]
mod tests {
    use bitcoin::BlockHash;
    use bitcoin::hashes::Hash;

    use super::*;
    use sdk_relay_index::IndexState;

    fn at(height: u32) -> BlockRef {
        BlockRef {
            height,
            hash: BlockHash::all_zeros(),
        }
    }

    /// An index of the blocks from `first` to `tip`, whose configuration asks for those from 5 on.
    fn index(first: u32, tip: u32) -> IndexStatus {
        IndexStatus {
            state: IndexState::Current,
            since: Instant::now(),
            start_height: 5,
            first,
            first_is_known: true,
            tip: Some(at(tip)),
            target: Some(tip),
            node_is_syncing: false,
        }
    }

    /// The blocks from 10 to 20 at a tip of 20, of an index that has come to `tip`.
    fn settled(from: u32, until: u32, tip: u32) -> Past {
        let mut past = Past::new(Heights { from, to: None });
        assert!(past.settle(until, &index(0, tip)));
        past
    }

    fn missing(from: u32, to: u32, reason: MissingReason) -> MissingBlocks {
        MissingBlocks { from, to, reason }
    }

    #[test]
    fn a_block_is_sent_by_the_scan_or_live() {
        let mut past = settled(10, 20, 20);
        past.through(at(15));
        assert_eq!(past.range(), Some((16, 20)));
        past.disconnected(21);
        assert_eq!(past.range(), Some((16, 20)), "above the history");
        past.disconnected(20);
        past.disconnected(19);
        assert_eq!(past.range(), Some((16, 18)));
        for height in [18, 17, 16, 15] {
            past.disconnected(height);
        }
        assert_eq!(past.range(), Some((15, 14)));
        assert!(past.is_over());
    }

    #[test]
    fn progress_begins_at_nothing_grows_and_ends_at_one() {
        let share = |past: &mut Past| past.progress(999).map(|p| p.share);
        let mut past = settled(0, 999, 0);
        assert_eq!(share(&mut past), Some(0.0));
        past.through(at(4));
        assert_eq!(share(&mut past), None);
        past.through(at(499));
        assert_eq!(share(&mut past), Some(0.5));
        past.through(at(5000));
        assert_eq!((share(&mut past), share(&mut past)), (Some(1.0), None));
    }

    #[test]
    fn what_is_held_comes_in_order_and_is_bounded() {
        let frame = |n: usize| Letter::of(n.to_string());
        let mut past = settled(0, 9, 9);
        for n in 0..HELD {
            assert!(past.hold(frame(n)).is_empty());
        }
        let all = past.hold(frame(HELD));
        assert_eq!(all, (0..=HELD).map(frame).collect::<Vec<_>>());
        assert_eq!(past.hold(frame(0)), [frame(0)], "from then on nothing waits");
        assert_eq!(
            settled(0, 99, 9).hold(frame(1)),
            [frame(1)],
            "an index that is being built"
        );
    }

    #[test]
    fn news_does_not_wait_for_a_scan_that_does_not_get_on() {
        let frame = |n: usize| Letter::of(n.to_string());
        let mut past = settled(0, 9, 9);
        assert!(past.hold(frame(1)).is_empty());
        let begun = Instant::now();
        assert!(past.release_stalled(begun).is_empty());
        assert_eq!(past.release_stalled(begun + STALLED_AT_MOST), [frame(1)]);
        assert_eq!(past.hold(frame(2)), [frame(2)]);
        assert!(!past.is_over(), "the scan goes on");
    }

    #[test]
    fn a_request_without_a_tip_waits_and_is_never_over() {
        let mut past = Past::new(Heights { from: 10, to: Some(30) });
        let outlook = past.outlook(None, &index(12, 40));
        assert_eq!((outlook.state, outlook.start_height), (HistoryState::Waiting, Some(12)));
        assert_eq!(outlook.missing, [missing(10, 11, MissingReason::Pruned)]);
        past.through(at(100));
        past.disconnected(5);
        assert!(!past.is_over() && past.progress(0).is_none() && past.range().is_none());
        let unknown = IndexStatus {
            first_is_known: false,
            tip: None,
            ..index(0, 0)
        };
        assert_eq!(
            past.outlook(None, &unknown),
            Outlook {
                state: HistoryState::Waiting,
                start_height: None,
                missing: Vec::new()
            }
        );
        assert!(past.settle(100, &index(12, 40)) && !past.settle(200, &index(12, 40)));
        assert_eq!(past.range(), Some((12, 30)));
        assert_eq!(past.outlook(Some(100), &index(12, 40)).state, HistoryState::Scanning);
    }

    #[test]
    fn what_lies_below_the_index_is_missing_and_no_part_of_the_progress() {
        let mut past = Past::new(Heights { from: 0, to: None });
        past.settle(751 + 100, &index(752, 851));
        let expected = [
            missing(0, 4, MissingReason::BelowStartHeight),
            missing(5, 751, MissingReason::Pruned),
        ];
        let first = past.progress(851).unwrap();
        assert_eq!(
            (first.share, first.height, &first.missing[..]),
            (0.0, 751, &expected[..])
        );
        past.through(at(801));
        let half = past.progress(851).unwrap();
        assert_eq!((half.share, half.missing), (0.5, Vec::new()));
        past.through(at(851));
        let last = past.progress(851).unwrap();
        assert_eq!((last.share, last.height, &last.missing[..]), (1.0, 851, &expected[..]));
    }

    #[test]
    fn a_history_of_which_nothing_can_be_had_says_so_and_is_over() {
        let mut past = Past::new(Heights { from: 6, to: Some(9) });
        past.settle(100, &index(752, 851));
        let outlook = past.outlook(Some(100), &index(752, 851));
        assert_eq!((outlook.state, outlook.start_height), (HistoryState::None, Some(101)));
        assert_eq!(outlook.missing, [missing(6, 9, MissingReason::Pruned)]);
        let last = past.progress(100).unwrap();
        assert_eq!((last.share, last.height, last.missing), (1.0, 9, outlook.missing));
    }

    #[test]
    fn a_history_above_the_tip_ends_at_a_block_that_exists() {
        let mut past = Past::new(Heights { from: 500, to: None });
        past.settle(100, &index(0, 100));
        let outlook = past.outlook(Some(100), &index(0, 100));
        assert_eq!((outlook.state, outlook.start_height), (HistoryState::None, Some(500)));
        let last = past.progress(100).unwrap();
        assert_eq!((last.share, last.height), (1.0, 100));
    }

    #[test]
    fn missing_ranges_are_bounded_and_none_is_left_out() {
        let mut past = settled(0, 100_000, 100_000);
        let mut damaged = Vec::new();
        for n in 0..200 {
            let height = 10 * n + 5;
            past.through(at(height - 1));
            past.skip(missing(height, height, MissingReason::Damaged));
            damaged.push(height);
        }
        let told = past.progress(100_000).unwrap().missing;
        assert_eq!(told.len(), RANGES);
        for height in damaged {
            assert!(told.iter().any(|r| (r.from..=r.to).contains(&height)), "{height}");
        }
        // Those that lie side by side are one range.
        let mut past = settled(0, 100, 100);
        past.skip(missing(0, 1, MissingReason::Damaged));
        past.skip(missing(2, 2, MissingReason::Damaged));
        assert_eq!(
            past.progress(100).unwrap().missing,
            [missing(0, 2, MissingReason::Damaged)]
        );
    }
}
