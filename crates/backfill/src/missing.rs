//! The blocks of a history that cannot be read.

use sdk_relay_protocol::MissingBlocks;

/// Ranges of missing blocks that are kept for one history. With more of them, the last one is extended over what lies
/// between: it then names more blocks than are missing, never fewer.
pub const MISSING_RANGES: usize = 64;

/// Ranges of missing blocks, in ascending order and apart from each other.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    ranges: Vec<MissingBlocks>,
    /// They have changed since they were reported.
    is_unreported: bool,
}

impl Missing {
    pub(crate) fn ranges(&self) -> &[MissingBlocks] {
        &self.ranges
    }

    /// Adds a range above all others.
    pub(crate) fn push(&mut self, range: MissingBlocks) {
        self.is_unreported = true;
        let is_full = self.ranges.len() == MISSING_RANGES;
        match self.ranges.last_mut() {
            Some(last) if last.reason == range.reason && last.to.saturating_add(1) == range.from => last.to = range.to,
            Some(last) if is_full => last.to = range.to,
            _ => self.ranges.push(range),
        }
    }

    /// Blocks from this height on are no part of the history any more.
    pub(crate) fn end_below(&mut self, height: u32) {
        self.ranges.retain(|range| range.from < height);
        if let Some(last) = self.ranges.last_mut() {
            last.to = last.to.min(height.saturating_sub(1));
        }
    }

    pub(crate) fn is_unreported(&self) -> bool {
        self.is_unreported
    }

    pub(crate) fn set_reported(&mut self) {
        self.is_unreported = false;
    }
}
