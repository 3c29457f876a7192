//! The matches of a detached watch, numbered, until its client releases them. No I/O.
//!
//! The buffer keeps the oldest matches: while it is full, new ones are only counted, as a gap in the numbers. A match
//! is handed to the attached client and stays in the buffer until the client releases it, so that a connection that is
//! lost loses nothing. While a client is attached, matches that do not fit wait beside the others until they are handed
//! to it, and are a gap for the next client only: a client that releases nothing misses nothing while it is connected.

use std::collections::VecDeque;

use sdk_relay_protocol::{WatchGap, WatchProgress};
use sdk_relay_telemetry::clock::unix_now;

use super::detached::Gap;
use super::queued::QueuedMessage;
use super::watch_message::WatchMessage;

/// The buffer of one watch.
#[derive(Debug, Default)]
pub(super) struct Kept {
    watch_id: Box<str>,
    /// Of consecutive numbers, from the one after `released` to `last`.
    items: VecDeque<Item>,
    /// Items that are matches.
    matches: usize,
    /// Number of the newest match.
    last: u64,
    /// The client has released the matches up to this one.
    released: u64,
    /// The attached client was handed everything up to this match.
    sent: u64,
    progress: Option<Reported>,
}

#[derive(Debug)]
enum Item {
    Match { seq: u64, queued: QueuedMessage },
    Gap(Gap),
}

/// The newest progress of the history.
#[derive(Debug)]
struct Reported {
    progress: Box<WatchProgress>,
    /// It follows the matches up to this one.
    after: u64,
    is_sent: bool,
}

/// What is in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    /// Kept matches.
    pub(super) matches: usize,
    /// Number of the first match that is not released; `None` if all are.
    pub(super) first: Option<u64>,
    /// Number of the newest match; 0 before the first.
    pub(super) last: u64,
    /// All gaps as one; matches within it may be kept.
    pub(super) gap: Option<Gap>,
}

impl Kept {
    /// An empty buffer for this watch.
    pub(super) fn new(watch_id: &str) -> Self {
        Self {
            watch_id: watch_id.into(),
            ..Self::default()
        }
    }

    /// Numbers a match and keeps it, if there are fewer than `most`. Returns whether it is kept.
    pub(super) fn add(&mut self, mut queued: QueuedMessage, most: usize) -> bool {
        self.last += 1;
        let seq = self.last;
        if let WatchMessage::Payment(message) = &mut queued.message {
            message.notification.watch_seq = Some(seq);
        }
        let is_kept = self.matches < most;
        if is_kept {
            self.matches += 1;
            self.items.push_back(Item::Match { seq, queued });
        } else {
            self.widen(lost(seq, &queued));
        }
        is_kept
    }

    /// Sets the newest progress: the client is sent the newest one only.
    pub(super) fn set_progress(&mut self, mut progress: Box<WatchProgress>) {
        if let Some(unsent) = self.progress.take().filter(|reported| !reported.is_sent)
            && progress.missing.is_empty()
        {
            // It names blocks that the newer one does not repeat.
            progress.missing = unsent.progress.missing;
        }
        self.progress = Some(Reported {
            progress,
            after: self.last,
            is_sent: false,
        });
    }

    /// The next message for the attached client. A match beyond the first `most` is not kept any longer.
    pub(super) fn next(&mut self, most: usize) -> Option<WatchMessage> {
        if let Some(reported) = &mut self.progress
            && !reported.is_sent
            && self.sent >= reported.after
        {
            reported.is_sent = true;
            return Some(WatchMessage::Progress(reported.progress.clone()));
        }
        let next = self.next_item();
        let is_beyond = self.matches > most && self.items.iter().take(next).filter(|i| i.is_match()).count() >= most;
        let item = self.items.get_mut(next)?;
        let after = std::mem::replace(&mut self.sent, item.last());
        Some(match item {
            Item::Match { queued, .. } if !is_beyond => queued.message.clone(),
            Item::Match { seq, queued } => {
                let (gap, message) = (lost(*seq, queued), queued.message.clone());
                *item = Item::Gap(gap);
                self.matches -= 1;
                self.join(next);
                message
            }
            Item::Gap(gap) => WatchMessage::Gap(Box::new(WatchGap {
                watch_id: self.watch_id.to_string(),
                first_watch_seq: gap.first.max(after + 1),
                last_watch_seq: gap.last,
                from_height: gap.from_height,
                timestamp: unix_now(),
            })),
        })
    }

    /// A client has attached that has the matches up to this one: it is handed those after it.
    pub(super) fn attach(&mut self, after: u64) {
        self.release(after);
        self.sent = self.released;
        if let Some(reported) = &mut self.progress {
            reported.is_sent = false;
        }
    }

    /// Forgets the matches up to this one. Those above the newest are not affected.
    pub(super) fn release(&mut self, after: u64) {
        let after = after.min(self.last);
        while let Some(item) = self.items.front_mut() {
            match item {
                Item::Gap(gap) if gap.last > after => {
                    gap.first = gap.first.max(after + 1);
                    break;
                }
                item if item.last() > after => break,
                Item::Match { .. } => self.matches -= 1,
                Item::Gap(_) => {}
            }
            self.items.pop_front();
        }
        self.released = self.released.max(after);
        self.sent = self.sent.max(self.released);
    }

    /// No client is attached any more: loses the matches beyond the first `most`. Returns how many.
    pub(super) fn detach(&mut self, most: usize) -> usize {
        let beyond = self.matches.saturating_sub(most);
        (0..beyond).filter(|_| self.lose_newest()).count()
    }

    /// Loses the newest match that is kept, to free memory. Returns whether there was one.
    pub(super) fn lose_newest(&mut self) -> bool {
        let Some(at) = self.items.iter().rposition(Item::is_match) else {
            return false;
        };
        if let Some(item) = self.items.get_mut(at)
            && let Item::Match { seq, queued } = item
        {
            *item = Item::Gap(lost(*seq, queued));
            self.matches -= 1;
        }
        self.join(at + 1);
        self.join(at);
        true
    }

    /// Matches that the attached client was not handed.
    pub(super) fn unsent(&self) -> usize {
        self.items.len() - self.next_item()
    }

    fn next_item(&self) -> usize {
        self.items.partition_point(|item| item.last() <= self.sent)
    }

    /// Drops everything: the watch has ended.
    pub(super) fn clear(&mut self) {
        self.items = VecDeque::new();
        self.matches = 0;
        self.progress = None;
        self.released = self.last;
        self.sent = self.last;
    }

    /// What is in the buffer.
    pub(super) fn contents(&self) -> Contents {
        let gaps = self.items.iter().filter_map(|item| match item {
            Item::Gap(gap) => Some(*gap),
            Item::Match { .. } => None,
        });
        let gap = gaps.reduce(|first, next| Gap {
            first: first.first,
            last: next.last,
            from_height: first.from_height.min(next.from_height),
        });
        Contents {
            matches: self.matches,
            first: (self.released < self.last).then_some(self.released + 1),
            last: self.last,
            gap,
        }
    }

    /// Matches that are not released, kept or lost.
    pub(super) fn waiting(&self) -> u64 {
        self.last - self.released
    }

    /// Number of the newest match; 0 before the first.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Kept matches.
    pub(super) fn matches(&self) -> usize {
        self.matches
    }

    /// Appends a gap, or extends the last one.
    fn widen(&mut self, gap: Gap) {
        self.items.push_back(Item::Gap(gap));
        self.join(self.items.len() - 1);
    }

    /// Joins the item at this position with the one before it, if both are gaps.
    fn join(&mut self, at: usize) {
        let Some(Item::Gap(gap)) = self.items.get(at) else {
            return;
        };
        let gap = *gap;
        if let Some(Item::Gap(before)) = at.checked_sub(1).and_then(|before| self.items.get_mut(before)) {
            before.last = gap.last;
            before.from_height = before.from_height.min(gap.from_height);
            self.items.remove(at);
        }
    }
}

/// This match is lost.
fn lost(seq: u64, queued: &QueuedMessage) -> Gap {
    Gap {
        first: seq,
        last: seq,
        from_height: queued.from_height,
    }
}

impl Item {
    fn is_match(&self) -> bool {
        matches!(self, Self::Match { .. })
    }

    fn last(&self) -> u64 {
        match self {
            Self::Match { seq, .. } => *seq,
            Self::Gap(gap) => gap.last,
        }
    }
}

#[cfg(test)]
mod tests;
