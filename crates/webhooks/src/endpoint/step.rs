//! What an endpoint gets next.

use std::collections::VecDeque;
use std::sync::Arc;

use sdk_relay_chain::joined;
use sdk_relay_platform::blocking;
use sdk_relay_platform::clock::unix_now;
use sdk_relay_protocol::EncodeError;
use sdk_relay_store::{LogEntry, ReadLimit, StoreError};

use super::Endpoint;
use crate::done::Done;
use crate::gap::{Gap, Reason};
use crate::message::Message;
use crate::positions::Position;
use crate::source::EventSource;

/// Limit of one read of the log: some events, so that those of other types are skipped quickly.
const STEP: ReadLimit = ReadLimit {
    events: 256,
    bytes: 256 << 10,
};

/// What the log has after a position.
enum Read {
    Events(VecDeque<LogEntry>),
    Gap(Gap),
}

impl Endpoint {
    /// The next message, and what its delivery means; `None` if there is nothing to send. New events come before those
    /// of a replay, which so delays none.
    pub(super) async fn next(&self, ahead: &mut VecDeque<LogEntry>) -> Result<Option<(Message, Done)>, StoreError> {
        let mut position = self.position();
        if let Some(gap) = position.gap.take() {
            return Ok(self.gap_message(gap));
        }
        let next = self.live(position, ahead).await?;
        if next.is_none() && self.status().is_replay_due() {
            return self.replayed().await;
        }
        Ok(next)
    }

    async fn live(
        &self,
        mut position: Position,
        ahead: &mut VecDeque<LogEntry>,
    ) -> Result<Option<(Message, Done)>, StoreError> {
        loop {
            while ahead.front().is_some_and(|entry| entry.id <= position.after) {
                ahead.pop_front();
            }
            if ahead.front().is_none_or(|entry| entry.id != position.after + 1) {
                match self.read_after(&position).await? {
                    Read::Gap(gap) => return Ok(self.begin_gap(gap).await),
                    Read::Events(entries) if entries.is_empty() => return Ok(None),
                    Read::Events(entries) => *ahead = entries,
                }
            }
            let Some(entry) = ahead.front() else { continue };
            if let Some(kind) = self.wants(entry) {
                if let Some(message) = self.message(kind, entry) {
                    return Ok(Some((message, Done::Event(entry.id))));
                }
                let gap = self.unreadable(entry, position.hole);
                return Ok(self.begin_gap(gap).await);
            }
            // Not awaited: skipping them again costs nothing.
            let id = entry.id;
            self.change(|position| position.after = position.after.max(id));
            position.after = id;
        }
    }

    /// The events after this position, up to the next run of skipped blocks.
    async fn read_after(&self, position: &Position) -> Result<Read, StoreError> {
        let source = Arc::clone(&self.source);
        let (after, known) = (position.after, position.hole);
        let read = blocking::spawn(move || read(&*source, after, known)).await;
        match joined(read) {
            Some(read) => read,
            // The runtime is shutting down.
            None => std::future::pending().await,
        }
    }

    /// The next event of a replay.
    async fn replayed(&self) -> Result<Option<(Message, Done)>, StoreError> {
        while let Some(replay) = self.position().replay {
            let source = Arc::clone(&self.source);
            let read = blocking::spawn(move || source.read_after(replay.next.saturating_sub(1), STEP)).await;
            let Some(entries) = joined(read) else {
                return std::future::pending().await;
            };
            let entries = entries?;
            // The log has removed events since the request.
            let first = entries.first().map_or(u64::MAX, |entry| entry.id);
            if first > replay.next {
                let next = first.min(replay.to.saturating_add(1));
                let gap = Gap {
                    // The same at each attempt.
                    noticed: replay.requested,
                    ..gap(replay.next.saturating_sub(1), next, 0, Reason::Removed)
                };
                let done = Done::Replayed(replay, next.saturating_sub(1));
                if let Some(message) = self.encoded(Message::gap(&self.positions.log_id(), &gap)) {
                    return Ok(Some((message, done)));
                }
                self.change(|position| done.apply(position));
                continue;
            }
            let wanted = entries.iter().take_while(|entry| entry.id <= replay.to);
            let found = wanted.clone().find_map(|entry| Some((entry, self.wants(entry)?)));
            match found {
                Some((entry, kind)) => {
                    let log_id = self.positions.log_id();
                    let message = match self.message(kind, entry) {
                        Some(message) => Some(message),
                        None => {
                            let gap = Gap {
                                // The same at each attempt.
                                noticed: replay.requested,
                                ..self.unreadable(entry, 0)
                            };
                            self.encoded(Message::gap(&log_id, &gap))
                        }
                    };
                    if let Some(message) = message {
                        return Ok(Some((message, Done::Replayed(replay, entry.id))));
                    }
                    let id = entry.id;
                    self.change(|position| Done::Replayed(replay, id).apply(position));
                }
                None => {
                    let last = wanted.last().map_or(replay.to, |entry| entry.id);
                    self.change(|position| Done::Replayed(replay, last).apply(position));
                }
            }
        }
        Ok(None)
    }

    /// Makes a gap durable, and its message. `None` if a request has skipped it meanwhile, which wakes the task.
    async fn begin_gap(&self, gap: Gap) -> Option<(Message, Done)> {
        let begin = |position: &mut Position| {
            if position.after > gap.after {
                return Err(());
            }
            position.gap = Some(gap.clone());
            Ok(())
        };
        let number = self.try_change(begin).ok()?;
        tracing::warn!(
            webhook = self.name(),
            after_event = gap.after,
            next_event = gap.next,
            reason = gap.reason.as_str(),
            "a webhook misses events or blocks; it gets a message of type gap"
        );
        self.metrics.gaps.inc();
        self.positions.saved(number).await;
        self.gap_message(gap)
    }

    fn gap_message(&self, gap: Gap) -> Option<(Message, Done)> {
        let message = self.encoded(Message::gap(&self.positions.log_id(), &gap))?;
        Some((message, Done::Gap(gap)))
    }

    fn unreadable(&self, entry: &LogEntry, hole: u64) -> Gap {
        gap(
            entry.id.saturating_sub(1),
            entry.id.saturating_add(1),
            hole,
            Reason::Unreadable,
        )
    }

    fn message(&self, kind: &str, entry: &LogEntry) -> Option<Message> {
        let message = Message::of_event(&self.positions.log_id(), kind, entry);
        message
            .inspect_err(|error| {
                tracing::error!(event = entry.id, %error, "an event of the log cannot be read: please report this bug");
            })
            .ok()
    }

    /// A message of fixed form, whose encoding cannot fail.
    fn encoded(&self, message: Result<Message, EncodeError>) -> Option<Message> {
        message
            .inspect_err(|error| tracing::error!(%error, "a message cannot be encoded: please report this bug"))
            .ok()
    }
}

fn gap(after: u64, next: u64, hole: u64, reason: Reason) -> Gap {
    Gap {
        after,
        next,
        hole,
        reason,
        noticed: unix_now(),
    }
}

fn read(source: &dyn EventSource, after: u64, known: u64) -> Result<Read, StoreError> {
    let mut entries: VecDeque<_> = source.read_after(after, STEP)?.into();
    // After the events: blocks that are skipped meanwhile are below none of them.
    let hole = source.hole_before()?;
    let next = after.saturating_add(1);
    let first = match entries.front() {
        Some(entry) => entry.id,
        None => source.complete_from()?.max(next),
    };
    if first > next {
        let covered = if hole <= first { hole.max(known) } else { known };
        return Ok(Read::Gap(gap(after, first, covered, Reason::Removed)));
    }
    if hole > known {
        if hole <= next {
            return Ok(Read::Gap(gap(after, next, hole, Reason::BlocksSkipped)));
        }
        // Those before the hole; then the hole itself.
        entries.retain(|entry| entry.id < hole);
    }
    Ok(Read::Events(entries))
}
