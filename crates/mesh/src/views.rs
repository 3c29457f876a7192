//! What the driver can ask about other relays.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh_table::{Row, Slot};

use crate::Mesh;
use crate::keys::Keys;
use crate::view::RelayView;

impl<K: Keys> Mesh<K> {
    /// All known relays, this one first, then by name; without those that have left.
    pub fn relays(&self, now: Duration) -> Vec<RelayView> {
        let own = self
            .table
            .row(self.own)
            .into_iter()
            .map(|row| self.view(now, self.own, row));
        let others = self
            .table
            .iter()
            .filter(|(slot, row)| *slot != self.own && !row.has_left());
        own.chain(others.map(|(slot, row)| self.view(now, slot, row))).collect()
    }

    /// One of them.
    pub fn relay(&self, now: Duration, relay_id: &str) -> Option<RelayView> {
        let slot = self.table.slot(relay_id)?;
        let row = self.table.row(slot).filter(|row| !row.has_left())?;
        Some(self.view(now, slot, row))
    }

    /// Hash of everything that this relay knows about relays: equal at two relays that agree.
    pub fn digest(&self) -> u64 {
        self.table.digest()
    }

    pub(crate) fn view(&self, now: Duration, slot: Slot, row: &Row) -> RelayView {
        let local = row.local.as_deref();
        let link = row.link();
        let vouched = local.and_then(|local| local.indirect_ack);
        let measured = link.and_then(|link| self.links.get(&link)).map(|link| link.latency);
        let learned = [Some(row.updated), row.last_received(), vouched];
        RelayView {
            entry: Arc::clone(&row.entry),
            health: self.health(now, slot, row),
            last_received: row.last_received(),
            last_update: learned.into_iter().flatten().max().unwrap_or(row.updated),
            link,
            latency: measured.or(local.and_then(|local| local.latency)),
        }
    }
}
