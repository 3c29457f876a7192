//! Live items that wait for the end of the history.

use std::time::{Duration, Instant};

/// Live items in the order of their arrival, or that none waits any more.
#[derive(Debug)]
pub(crate) struct Held<T> {
    /// `None`: live items are sent at once.
    items: Option<Vec<T>>,
    last_progress: Option<Instant>,
}

impl<T> Held<T> {
    /// Live items are sent at once.
    pub(crate) fn none() -> Self {
        Self {
            items: None,
            last_progress: None,
        }
    }

    /// Live items wait from now on.
    pub(crate) fn since(now: Instant) -> Self {
        Self {
            items: Some(Vec::new()),
            last_progress: Some(now),
        }
    }

    pub(crate) fn progressed(&mut self, now: Instant) {
        self.last_progress = Some(now);
    }

    /// Keeps an item. Returns it, with all that waited, if it must not wait.
    pub(crate) fn push(&mut self, item: T, limit: usize) -> Vec<T> {
        match &mut self.items {
            Some(items) if items.len() < limit => {
                items.push(item);
                Vec::new()
            }
            _ => {
                let mut all = self.release();
                all.push(item);
                all
            }
        }
    }

    /// Returns what waits, in order. From then on nothing waits.
    pub(crate) fn release(&mut self) -> Vec<T> {
        self.items.take().unwrap_or_default()
    }

    /// As [`Self::release`], if the last progress was so long ago.
    pub(crate) fn release_stalled(&mut self, now: Instant, limit: Duration) -> Vec<T> {
        let is_stalled = self
            .last_progress
            .is_some_and(|last| now.saturating_duration_since(last) >= limit);
        if is_stalled { self.release() } else { Vec::new() }
    }
}
