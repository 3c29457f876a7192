//! Accusations: made, received, and counted against accusers that were wrong.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh_table::{Accused, LinkId, Slot};
use sdk_relay_protocol::mesh::{Accusation, RelayId};

use crate::Mesh;
use crate::keys::{Keys, accusation_bytes};
use crate::limits::{MAX_CHECKED, SIGNATURE};

/// Refuted accusations after which a relay's accusations are ignored. Strikes are halved every
/// [`STRIKE_HALF_LIFE`](crate::limits::STRIKE_HALF_LIFE) intervals.
pub(crate) const MAX_STRIKES: u32 = 64;

impl<K: Keys> Mesh<K> {
    pub(crate) fn receive_accusation(&mut self, now: Duration, id: LinkId, accusation: Arc<Accusation>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.checked += 1;
        let (bit, checked) = (link.bit, link.checked);
        if self
            .requested
            .get(&accusation.relay_id)
            .is_some_and(|(asked, _)| *asked == id)
        {
            self.requested.remove(&accusation.relay_id);
        }
        let Some(slot) = self.table.slot(accusation.relay_id.as_str()) else {
            return;
        };
        let Some(row) = self.table.row(slot) else { return };
        if row.order() != (accusation.incarnation, accusation.version) || row.accusation().is_some() {
            return;
        }
        // A peer that forwards an accusation of this relay believes it, and so may others: it is refuted whoever the
        // accuser is.
        let believed_there = slot == self.own && link.peer != accusation.by;
        let accuser = self.table.find(accusation.by.as_str()).filter(|accuser| {
            let strikes = accuser.local.as_ref().map_or(0, |local| local.strikes);
            (strikes < MAX_STRIKES || believed_there) && accusation.by != accusation.relay_id && checked <= MAX_CHECKED
        });
        let signed = accuser.is_some_and(|accuser| {
            accusation.signature.len() == SIGNATURE
                && self.keys.verify(
                    &accuser.entry.public_key,
                    &accusation_bytes(&accusation),
                    &accusation.signature,
                )
        });
        if !signed {
            link.offers.remove(&accusation.relay_id);
            self.counters.refused += 1;
            return;
        }
        if slot == self.own {
            self.must_refute = true;
            return self.refute_accusation(now);
        }
        self.table.accuse(slot, accusation);
        self.prune_offers(slot);
        if let Some(row) = self.table.row_mut(slot) {
            row.known_by = bit;
            let cannot_be_asked = row.entry.address.is_empty();
            let local = row.local();
            local.accused = Some(Accused {
                deadline: now + self.config.interval * 3,
                unresponsive: cannot_be_asked,
            });
            // The backoff of earlier failed dials does not apply: whether it answers now decides.
            local.dial_after = local.dial_after.min(now + self.config.interval * 2);
        }
        self.mark_changed(now, slot);
    }

    pub(crate) fn accuse(&mut self, now: Duration, slot: Slot, since: Duration) {
        let Some(row) = self.table.row(slot) else { return };
        let (incarnation, version) = row.order();
        let mut accusation = Accusation {
            relay_id: row.entry.relay_id.clone(),
            incarnation,
            version,
            by: self.own_id.clone(),
            signature: String::new(),
        };
        accusation.signature = self.keys.sign(&accusation_bytes(&accusation));
        self.table.accuse(slot, Arc::new(accusation));
        if let Some(row) = self.table.row_mut(slot) {
            row.local().accused = Some(Accused {
                deadline: since + self.config.interval * 3,
                unresponsive: true,
            });
        }
        self.counters.accused += 1;
        self.mark_changed(now, slot);
    }

    /// An accusation by `accuser` was refuted.
    pub(crate) fn strike(&mut self, accuser: &RelayId) {
        if let Some(row) = self.table.find_mut(accuser.as_str()) {
            let local = row.local();
            local.strikes = local.strikes.saturating_add(1);
        }
    }
}
