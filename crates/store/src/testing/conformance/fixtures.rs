//! Fixtures of the properties.

use std::sync::Arc;

use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, OutPoint, Txid};
use bytes::Bytes;
use sdk_relay_protocol::Topic;

use crate::{Batch, BlockChange, EventKind, EventLog, LogEntry, ReadLimit, Retention};

/// Creates an empty log with these bounds.
pub type NewLog<'a> = &'a dyn Fn(Retention) -> Arc<dyn EventLog>;

/// Bounds that no property here reaches.
pub const WIDE: Retention = Retention {
    events: 10_000,
    bytes: 1 << 30,
};
/// No limit.
pub const EVERYTHING: ReadLimit = ReadLimit {
    events: usize::MAX,
    bytes: usize::MAX,
};

/// A hash derived from a number.
pub fn hash(n: u32) -> BlockHash {
    BlockHash::hash(&n.to_le_bytes())
}

/// An outpoint derived from a number.
pub fn outpoint(n: u32) -> OutPoint {
    OutPoint {
        txid: Txid::hash(&n.to_le_bytes()),
        vout: n,
    }
}

/// An event whose payload has this size.
pub fn entry(id: u64, size: usize) -> LogEntry {
    LogEntry {
        id,
        topic: Topic::Notifications,
        kind: EventKind::RelayConnected,
        height: None,
        block_hash: None,
        payload: Bytes::from(vec![b'x'; size]),
    }
}

/// An event about a block.
pub fn about(id: u64, kind: EventKind, height: u32, block: BlockHash) -> LogEntry {
    LogEntry {
        kind,
        height: Some(height),
        block_hash: Some(block),
        ..entry(id, 10)
    }
}

/// The ids of all events after this one.
pub fn ids(log: &dyn EventLog, after: u64) -> Vec<u64> {
    let entries = log.read_after(after, EVERYTHING).unwrap();
    entries.iter().map(|entry| entry.id).collect()
}

/// Commits these events.
pub fn append(log: &dyn EventLog, events: impl IntoIterator<Item = LogEntry>) {
    let events = events.into_iter().collect();
    log.commit(&Batch {
        events,
        ..Batch::default()
    })
    .unwrap();
}

/// Commits a change of the tip only.
pub fn change(log: &dyn EventLog, block: BlockChange) {
    let block = Some(block);
    log.commit(&Batch {
        block,
        ..Batch::default()
    })
    .unwrap();
}

/// The whole visible state, to compare two logs.
pub fn state(log: &dyn EventLog) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut payments = log.payments().unwrap();
    payments.sort();
    (
        log.read_after(0, EVERYTHING).unwrap(),
        (
            log.next_event_id().unwrap(),
            log.complete_from().unwrap(),
            log.hole_before().unwrap(),
        ),
        log.recent_blocks().unwrap(),
        payments,
    )
}
