//! Rows that are removed.

use std::time::Duration;

use sdk_relay_mesh_table::{Forgotten, Row, Slot};

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::MAX_FORGOTTEN;

impl<K: Keys> Mesh<K> {
    pub(crate) fn forget(&mut self, now: Duration, slot: Slot) {
        let Some(row) = self.take_out(slot) else { return };
        self.counters.forgotten += 1;
        if self.forgotten.len() >= MAX_FORGOTTEN {
            let first = self
                .forgotten
                .iter()
                .min_by_key(|(_, forgotten)| forgotten.until)
                .map(|(name, _)| name.clone());
            first.and_then(|name| self.forgotten.remove(&name));
        }
        // Others remove it at about the same time; until they all have, it must not be learned from them again.
        let forgotten = Forgotten {
            public_key: row.entry.public_key.clone(),
            order: row.order(),
            until: now + self.config.forget_after,
        };
        self.forgotten.insert(row.entry.relay_id.clone(), forgotten);
    }

    pub(crate) fn take_out(&mut self, slot: Slot) -> Option<Row> {
        for link in self.links.values_mut() {
            link.pending.remove(&slot);
            link.to_send.remove(&slot);
            link.accusations_to_send.remove(&slot);
            for batch in &mut link.unacknowledged {
                batch.slots.retain(|announced| *announced != slot);
            }
        }
        self.table.remove(slot)
    }
}
