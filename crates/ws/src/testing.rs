//! A log for tests.

use std::sync::Arc;

use bytes::Bytes;
use sdk_relay_events::Hub;
use sdk_relay_protocol::Topic;
use sdk_relay_store::{BlockChange, EventKind, LogEntry, Retention, Store};

/// An empty log in this directory.
pub(crate) fn hub(dir: &tempfile::TempDir) -> Arc<Hub> {
    let retention = Retention {
        events: 100,
        bytes: 1 << 20,
    };
    let store = Store::open(&dir.path().join("relay.redb"), "regtest", retention).unwrap();
    Arc::new(Hub::new(Arc::new(store)).unwrap())
}

/// Publishes the next event, with the change of the chain that it is about.
pub(crate) fn publish(hub: &Hub, change: Option<BlockChange>) {
    let entry = LogEntry {
        id: hub.newest() + 1,
        topic: Topic::Notifications,
        kind: EventKind::Unknown,
        height: None,
        block_hash: None,
        payload: Bytes::from_static(b"{}"),
    };
    hub.publish(vec![entry], change);
}
