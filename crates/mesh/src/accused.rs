//! Which accused relays are dialled, and in which order.

use std::collections::BTreeMap;
use std::time::Duration;

use sdk_relay_protocol::mesh::RelayId;

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::MAX_ACCUSED_DIALS;
use sdk_relay_mesh_table::{Hearsay, Slot};

/// Accused relays that are due, by introducer, the nearest last.
type Due = BTreeMap<RelayId, Vec<(u8, Slot)>>;

impl<K: Keys> Mesh<K> {
    /// Dials relays that have been accused for two intervals, before the accusation makes them critical: they may not
    /// have received it.
    ///
    /// Of those from which nothing was received first hand, [`MAX_ACCUSED_DIALS`] are dialled at a time. Dials are
    /// shared between introducers: relays that do not answer delay only others of the same introducer.
    pub(crate) fn dial_accused(&mut self, now: Duration) {
        let mut first_hand = Vec::new();
        let mut due = Due::new();
        for &slot in &self.table.unhealthy {
            let Some(row) = self.table.row(slot).filter(|_| self.is_due(now, slot)) else {
                continue;
            };
            let distance = self.distance(slot, row);
            match row.hearsay() {
                None => first_hand.push((distance, slot)),
                Some(Hearsay { introducer, .. }) => due.entry(introducer.clone()).or_default().push((distance, slot)),
            }
        }
        first_hand.sort_unstable();
        for (_, slot) in first_hand {
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

    /// Whether a relay is accused and due. If its name is contested, it is dialled for that instead.
    fn is_due(&self, now: Duration, slot: Slot) -> bool {
        let row = self.table.row(slot).filter(|row| row.accusation().is_some());
        let accused = row.and_then(|row| row.local.as_ref()?.accused);
        accused.is_some_and(|accused| !accused.unresponsive && now + self.config.interval >= accused.deadline)
            && !self.is_contested(slot)
            && self.can_dial(now, slot)
    }

    /// The introducer with the fewest of these dials in progress; among equals the one that has waited longest, then
    /// the one with the nearest relay.
    fn next_in_turn(&self, due: &Due) -> Option<RelayId> {
        let in_progress: Vec<&RelayId> = self.introducers_of_accused().collect();
        if in_progress.len() >= MAX_ACCUSED_DIALS {
            return None;
        }
        let turns = due.iter().filter_map(|(peer, slots)| {
            let (distance, _) = slots.last()?;
            let its = in_progress.iter().filter(|other| **other == peer).count();
            Some((its, self.accused_dialled.get(peer), distance, peer))
        });
        turns.min().map(|(.., peer)| peer.clone())
    }
}
