//! Where a history ends whose subscriber was registered in the past.

/// Finds the highest block that was in the chain as of a moment in the past and has stayed in it: blocks above it are
/// live for a subscriber that was registered at that moment. To be given all blocks that connected or were disconnected
/// since, in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryEnd {
    /// The tip at that moment, if a later block has shown it; `Some(None)`: there was none.
    tip: Option<Option<u32>>,
    /// The lowest block that was disconnected since.
    lowest_disconnected: Option<u32>,
}

impl HistoryEnd {
    /// A block connected at this height.
    pub fn connected(&mut self, height: u32) {
        self.tip.get_or_insert(height.checked_sub(1));
    }

    /// The block at this height was disconnected.
    pub fn disconnected(&mut self, height: u32) {
        self.tip.get_or_insert(Some(height));
        let lowest = self.lowest_disconnected.map_or(height, |lowest| lowest.min(height));
        self.lowest_disconnected = Some(lowest);
    }

    /// The highest block that has stayed; `None` if there is none. `tip` is that of now, which counts if nothing has
    /// changed since.
    pub fn last(self, tip: Option<u32>) -> Option<u32> {
        let then = self.tip.unwrap_or(tip)?;
        match self.lowest_disconnected {
            Some(lowest) if lowest <= then => lowest.checked_sub(1),
            _ => Some(then),
        }
    }
}
