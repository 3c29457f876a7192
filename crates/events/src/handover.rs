//! Where history ends for a client whose topic became live in the middle of the log.

use sdk_relay_protocol::{Event, Notification, Topic};
use sdk_relay_store::{ReadLimit, StoreError};

use crate::hub::Hub;

/// What one look into the log reads.
const STEP: ReadLimit = ReadLimit {
    events: 256,
    bytes: 1 << 20,
};

impl Hub {
    /// The highest block that was in the chain as of this event and has stayed there since: above it, everything is told by the events after this
    /// one. `None` where there is no such block. Reads the log up to its end: not for the runtime's own threads.
    pub fn settled_as_of(&self, event: u64) -> Result<Option<u32>, StoreError> {
        let (mut at, mut tip, mut left) = (event, None, u32::MAX);
        loop {
            let entries = self.store.read_after(at, STEP)?;
            let Some(last) = entries.last() else { break };
            at = last.id;
            for entry in entries.iter().filter(|e| e.topic == Topic::Notifications) {
                let Ok(told) = serde_json::from_slice::<Notification>(&entry.payload) else {
                    continue;
                };
                match told.event {
                    Event::BlockMined(block) => drop(tip.get_or_insert(block.block_height.checked_sub(1))),
                    Event::BlockDisconnected(block) => {
                        tip.get_or_insert(Some(block.block_height));
                        left = left.min(block.block_height);
                    }
                    _ => {}
                }
            }
        }
        let tip = tip.unwrap_or_else(|| self.tip());
        Ok(tip.and_then(|tip| if tip < left { Some(tip) } else { left.checked_sub(1) }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sdk_relay_protocol::{BlockDisconnected, BlockMined};
    use sdk_relay_store::{Batch, LogEntry, Retention, Store};

    use super::*;

    fn mined(block_height: u32) -> Event {
        Event::BlockMined(BlockMined {
            block_height,
            block_hash: String::new(),
            transactions: 1,
            size: 1,
            timestamp: 1,
            difficulty: 1.0,
            merkle_root: String::new(),
        })
    }

    fn left(block_height: u32) -> Event {
        Event::BlockDisconnected(BlockDisconnected {
            block_height,
            block_hash: String::new(),
            previous_block_hash: String::new(),
            timestamp: 1,
        })
    }

    #[test]
    fn the_tip_of_then_as_far_as_it_has_stayed() {
        let dir = tempfile::tempdir().unwrap();
        let retention = Retention {
            events: 100,
            bytes: 1 << 20,
        };
        let store = Arc::new(Store::open(&dir.path().join("relay.redb"), "regtest", retention).unwrap());
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
        let entry = |(id, event)| {
            let notification = Notification {
                event,
                timestamp: 1,
                event_id: Some(id),
            };
            LogEntry {
                id,
                topic: Topic::Notifications,
                payload: sdk_relay_protocol::encode(&notification).unwrap().into(),
            }
        };
        let batch = Batch {
            events: (1..).zip(events).map(entry).collect(),
            ..Batch::default()
        };
        store.commit(&batch).unwrap();
        let hub = Hub::new(store).unwrap();
        let as_of: Vec<_> = (0..8).map(|event| hub.settled_as_of(event).unwrap()).collect();
        // Before the genesis block there is none. Of the tips 2 and 3 the blocks from 2 on left later.
        let expected = [None, Some(0), Some(1), Some(1), Some(1), Some(1), Some(1), Some(2)];
        assert_eq!(as_of, expected);
    }
}
