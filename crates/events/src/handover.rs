//! End of the history for a client that subscribes in the middle of the log.

use sdk_relay_backfill::HistoryEnd;
use sdk_relay_store::{EventKind, ReadLimit, StoreError};

use crate::hub::Hub;

/// Limit of one read of the log.
const STEP: ReadLimit = ReadLimit {
    events: 256,
    bytes: 1 << 20,
};

impl Hub {
    /// The highest block that was in the chain as of this event and was not disconnected since: later events report
    /// everything above it. `None` if there is no such block. Reads the log to its end: call on a blocking thread.
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
    fn the_settled_tip_as_of_an_event() {
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
        // None before the genesis block. For the tips 2 and 3, the blocks from 2 were disconnected later.
        let expected = [None, Some(0), Some(1), Some(1), Some(1), Some(1), Some(1), Some(2)];
        assert_eq!(as_of, expected);
    }
}
