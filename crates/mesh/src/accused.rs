//! Which of the relays that stand accused are dialled, and in which order.

use std::collections::BTreeMap;
use std::time::Duration;

use sdk_relay_protocol::mesh::RelayId;

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::MAX_ACCUSED_DIALS;
use sdk_relay_mesh_table::{Hearsay, Slot};

/// Relays that are to be dialled, the nearest last, by the peer by whose word they are known.
type Due = BTreeMap<RelayId, Vec<(u8, Slot)>>;

impl<K: Keys> Mesh<K> {
    /// Relays that stand accused for two intervals are dialled, before they are taken for critical by the word of others: they may not know of it.
    ///
    /// Of those from which nothing was received first hand, [`MAX_ACCUSED_DIALS`] are dialled at a time. Dials are shared between the peers by whose word
    /// they are known: relays that do not answer delay only others of the same peer.
    pub(crate) fn ask_accused(&mut self, now: Duration) {
        let mut heard = Vec::new();
        let mut due = Due::new();
        for &slot in &self.table.unhealthy {
            let Some(row) = self.table.row(slot).filter(|_| self.is_due(now, slot)) else {
                continue;
            };
            let distance = self.distance(slot, row);
            match row.hearsay() {
                None => heard.push((distance, slot)),
                Some(Hearsay { introducer, .. }) => due.entry(introducer.clone()).or_default().push((distance, slot)),
            }
        }
        heard.sort_unstable();
        for (_, slot) in heard {
            self.dial_row(now, slot, true);
        }
        for slots in due.values_mut() {
            slots.sort_unstable_by(|one, other| other.cmp(one));
        }
        let table = &self.table;
        self.accused_dialled.retain(|peer, _| table.introduced(peer).all() > 0);
        while let Some(peer) = self.next_in_turn(&due) {
            let slot = due.get_mut(&peer).and_then(Vec::pop);
            if slot.is_some_and(|(_, slot)| self.dial_row(now, slot, true)) {
                self.accused_dialled.insert(peer, now);
            }
        }
    }

    /// Whether a relay stands accused and is to be dialled now. Where its name is claimed too, it is dialled for that.
    fn is_due(&self, now: Duration, slot: Slot) -> bool {
        let row = self.table.row(slot).filter(|row| row.accusation().is_some());
        let accused = row.and_then(|row| row.local.as_ref()?.accused);
        accused.is_some_and(|accused| !accused.unresponsive && now + self.config.interval >= accused.deadline)
            && !self.is_contested(slot)
            && self.can_dial(now, slot)
    }

    /// The peer with the fewest of these dials under way, of these the one that has waited longest, of these the one that says it is nearest to its relay.
    fn next_in_turn(&self, due: &Due) -> Option<RelayId> {
        let under_way: Vec<&RelayId> = self.introducers_of_accused().collect();
        if under_way.len() >= MAX_ACCUSED_DIALS {
            return None;
        }
        let turns = due.iter().filter_map(|(peer, slots)| {
            let (distance, _) = slots.last()?;
            let its = under_way.iter().filter(|other| **other == peer).count();
            Some((its, self.accused_dialled.get(peer), distance, peer))
        });
        turns.min().map(|(.., peer)| peer.clone())
    }
}
