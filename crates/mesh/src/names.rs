//! Which key a name belongs to.

use std::time::Duration;

use sdk_relay_mesh_table::{Claim, Row, Slot};
use sdk_relay_protocol::mesh::RelayId;

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::{MAX_FORGOTTEN, MAX_RELAYS};
use crate::output::Peer;

/// Intervals for which the entry of a key is refused that did not answer when another key claimed its name. If it is
/// the true owner, it gets the name back over a link of its own.
const DISPROVEN_FOR: u32 = 20;

impl<K: Keys> Mesh<K> {
    /// Whether a relay that has proven its key may use its name here.
    pub(crate) fn may_use_name(&mut self, now: Duration, peer: &Peer) -> bool {
        let bound = self.keys.bound_key(&peer.relay_id);
        if bound.as_ref().is_some_and(|key| *key != peer.public_key) {
            return false;
        }
        let slot = self.table.slot(peer.relay_id.as_str());
        let other = slot.filter(|slot| {
            let row = self.table.row(*slot);
            row.is_some_and(|row| row.entry.public_key != peer.public_key)
        });
        let linked = self
            .links
            .values()
            .any(|link| link.peer == peer.relay_id && link.public_key != peer.public_key);
        match other {
            _ if bound.is_some() => other.into_iter().for_each(|slot| self.evict(slot)),
            Some(slot) if self.table.row(slot).is_some_and(Row::is_replaceable) => self.evict(slot),
            Some(slot) => {
                self.contest(now, slot, None);
                return false;
            }
            None if linked => return false,
            None => {}
        }
        true
    }

    /// The key of a name that is known first hand: from the table, or from a link.
    pub fn proven_key(&self, relay_id: &str) -> Option<&str> {
        let row = self.table.find(relay_id).filter(|row| !row.is_hearsay());
        let of_link = || self.links.values().find(|link| link.peer.as_str() == relay_id);
        row.map(|row| row.entry.public_key.as_str())
            .or_else(|| of_link().map(|link| link.public_key.as_str()))
    }

    /// The proven key of a name: bound, or of a link.
    pub(crate) fn owner(&self, relay_id: &RelayId) -> Option<String> {
        let linked = || {
            let link = self.links.values().find(|link| link.peer == *relay_id)?;
            Some(link.public_key.clone())
        };
        self.keys.bound_key(relay_id).or_else(linked)
    }

    pub(crate) fn set_disproven(&mut self, now: Duration, slot: Slot) {
        if let Some(row) = self.table.row(slot).filter(|row| row.is_hearsay() && !row.has_left())
            && self.disproven.len() < MAX_FORGOTTEN
        {
            let until = now + self.config.interval * DISPROVEN_FOR;
            let key = (row.entry.relay_id.clone(), row.entry.public_key.clone());
            self.disproven.insert(key, until);
        }
    }

    /// The relay did not answer for its contested name: this key cannot get the name from hearsay for a while.
    pub(crate) fn disprove(&mut self, now: Duration, slot: Slot) {
        self.set_disproven(now, slot);
        let row = self.table.row_mut(slot);
        let claim = row.and_then(|row| row.local().claim.take());
        let lost = self
            .table
            .row(slot)
            .map(|row| (row.entry.relay_id.clone(), self.distance(slot, row)));
        self.evict(slot);
        let Some((name, distance)) = lost else { return };
        if let Some(Claim { entry, link, distance }) = claim
            && self.table.slot(name.as_str()).is_none()
        {
            self.learn(now, link, entry, distance);
        }
        if self.table.slot(name.as_str()).is_some() {
            return;
        }
        // Links that know another key for it have already announced it.
        self.ask_all(now, &name, distance);
    }

    /// Requests a name once over each link, whether or not the peer has announced it.
    pub(crate) fn ask_all(&mut self, now: Duration, name: &RelayId, distance: u8) {
        for link in self.links.values_mut().filter(|link| link.is_persistent()) {
            if !link.offers.contains_key(name) && link.offers.len() < MAX_RELAYS {
                link.offer(name, (0, 0), false, distance);
                link.send_soon(now, self.config.interval);
            }
        }
    }
}
