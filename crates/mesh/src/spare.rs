//! What a relay gives away beyond its share.
//!
//! Each entry is given away once, whatever it costs: else it would not spread. A second time only from what is to spare: as many as have been learned, and a quarter of
//! the table per interval. Who is refused asks another, who has got it meanwhile; so the relay that has all first does not pay for all.

use std::time::Duration;

/// To begin with: in a small mesh a refusal costs more than the entry.
const FEW: f64 = 16.0;

/// Per interval: a share of the table, and a few.
const SHARE: f64 = 0.25;
const FEW_MORE: f64 = 4.0;

/// Most that is kept, in tables.
const MOST: f64 = 2.0;

pub(crate) struct Spare {
    left: f64,
    at: Duration,
}

impl Spare {
    pub(crate) fn new(now: Duration) -> Self {
        Self { left: FEW, at: now }
    }

    /// An entry was learned: it may be passed on.
    pub(crate) fn learned(&mut self) {
        self.left += 1.0;
    }

    pub(crate) fn grow(&mut self, now: Duration, interval: Duration, rows: usize) {
        let intervals = now.saturating_sub(self.at).as_secs_f64() / interval.as_secs_f64();
        self.at = now;
        let rows = rows as f64;
        self.left = (self.left + intervals * (rows * SHARE + FEW_MORE)).min(rows * MOST + FEW);
    }

    /// One is given away; whether it was to spare.
    pub(crate) fn take(&mut self) -> bool {
        let enough = self.left >= 1.0;
        self.left = (self.left - 1.0).max(0.0);
        enough
    }
}
