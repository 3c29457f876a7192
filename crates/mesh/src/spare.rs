//! The budget for sending entries more than once.
//!
//! Each entry is sent once, whatever it costs: otherwise it would not spread. It is sent again only from this budget:
//! as many entries as were learned, and a quarter of the table per interval. A peer that is refused requests the entry
//! from another that has received it meanwhile; so the first relay that has all entries does not carry the whole load.

use std::time::Duration;

/// The initial budget: in a small mesh a refusal costs more than the entry.
const INITIAL: f64 = 16.0;

/// Refill per interval: a share of the table, and a constant.
const TABLE_SHARE: f64 = 0.25;
const PER_INTERVAL: f64 = 4.0;

/// Upper bound, in tables.
const MAX_TABLES: f64 = 2.0;

pub(crate) struct SpareBudget {
    left: f64,
    at: Duration,
}

impl SpareBudget {
    pub(crate) fn new(now: Duration) -> Self {
        Self { left: INITIAL, at: now }
    }

    /// An entry was learned: it may be forwarded.
    pub(crate) fn learned(&mut self) {
        self.left += 1.0;
    }

    pub(crate) fn refill(&mut self, now: Duration, interval: Duration, rows: usize) {
        let intervals = now.saturating_sub(self.at).as_secs_f64() / interval.as_secs_f64();
        self.at = now;
        let rows = rows as f64;
        self.left = (self.left + intervals * (rows * TABLE_SHARE + PER_INTERVAL)).min(rows * MAX_TABLES + INITIAL);
    }

    /// An entry is sent; returns whether the budget covered it.
    pub(crate) fn take(&mut self) -> bool {
        let enough = self.left >= 1.0;
        self.left = (self.left - 1.0).max(0.0);
        enough
    }
}
