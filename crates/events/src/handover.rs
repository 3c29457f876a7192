//! Where history ends for a client whose topic became live in the middle of the log.

use sdk_relay_backfill::HistoryEnd;
use sdk_relay_store::{EventKind, ReadLimit, StoreError};

use crate::hub::Hub;

/// What one look into the log reads.
const STEP: ReadLimit = ReadLimit {
    events: 256,
    bytes: 1 << 20,
};

impl Hub {
    /// The highest block that was in the chain as of this event and has stayed there since: above it, everything is
    /// reported by the events after this one. `None` where there is no such block. Reads the log up to its end: not for
    /// the runtime's own threads.
    pub fn settled_as_of(&self, event: u64) -> Result<Option<u32>, StoreError> {
        let (mut at, mut end) = (event, HistoryEnd::default());
        loop {
            let entries = self.log.read_after(at, STEP)?;
            let Some(last) = entries.last() else { break };
            at = last.id;
            for entry in &entries {
                let Some(height) = entry.height else { continue };
                match entry.kind {
                    EventKind::BlockMined => end.connected(height),
                    EventKind::BlockDisconnected => end.disconnected(height),
                    _ => {}
                }
            }
        }
        Ok(end.last(self.tip()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bitcoin::BlockHash;
    use bitcoin::hashes::Hash;
    use sdk_relay_store::testing::MemoryLog;
    use sdk_relay_store::testing::conformance::{WIDE, about, append};

    use super::*;

    fn mined(height: u32) -> (EventKind, u32) {
        (EventKind::BlockMined, height)
    }

    fn left(height: u32) -> (EventKind, u32) {
        (EventKind::BlockDisconnected, height)
    }

    #[test]
    fn the_tip_of_then_as_far_as_it_has_stayed() {
        let log = Arc::new(MemoryLog::new(WIDE));
        let events = [
            mined(0),
            mined(1),
            mined(2),
            mined(3),
            left(3),
            left(2),
            mined(2),
            mined(3),
        ];
        let entry = |(id, (kind, height))| about(id, kind, height, BlockHash::all_zeros());
        append(&*log, (1..).zip(events).map(entry));
        let hub = Hub::new(log).unwrap();
        let as_of: Vec<_> = (0..8).map(|event| hub.settled_as_of(event).unwrap()).collect();
        // Before the genesis block there is none. Of the tips 2 and 3 the blocks from 2 on left later.
        let expected = [None, Some(0), Some(1), Some(1), Some(1), Some(1), Some(1), Some(2)];
        assert_eq!(as_of, expected);
    }
}
