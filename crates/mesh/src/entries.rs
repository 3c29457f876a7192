//! Received entries: checked, then added to the table.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh_table::distance::FARTHEST;
use sdk_relay_mesh_table::{Claim, LinkId, Row, Slot, order};
use sdk_relay_protocol::mesh::{RelayEntry, RelayId, RelayStatus};

use crate::Mesh;
use crate::keys::{Keys, entry_bytes};
use crate::limits::{
    MAX_ADDRESS, MAX_CAPABILITIES, MAX_CAPABILITY, MAX_CHECKED, MAX_RELAYS, MAX_SOFTWARE_VERSION, PUBLIC_KEY, SIGNATURE,
};
use crate::output::{CloseReason, Output};

/// Intervals for which a link is not asked for a name for which it sent another key's entry.
const MISTAKEN_FOR: u32 = 2;

impl<K: Keys> Mesh<K> {
    pub(crate) fn receive_entry(&mut self, now: Duration, id: LinkId, entry: Arc<RelayEntry>, hint: bool) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let (bit, from_itself) = (link.bit, entry.relay_id == link.peer);
        let offer = link.offers.remove(&entry.relay_id);
        let asked_for = offer.is_some();
        if self
            .requested
            .get(&entry.relay_id)
            .is_some_and(|(asked, _)| *asked == id)
        {
            self.requested.remove(&entry.relay_id);
        }
        let mut slot = self.table.slot(entry.relay_id.as_str());
        // The row of another key with this name.
        let mut rival = None;
        if let Some(row) = slot.and_then(|slot| self.table.row_mut(slot)) {
            if row.entry == entry {
                row.known_by |= if row.accusation().is_none() { bit } else { 0 };
                return;
            }
            if row.entry.public_key != entry.public_key {
                rival = slot.take();
            } else if row.order() >= order(&entry) {
                return;
            }
        }
        let anothers = from_itself && link.public_key != entry.public_key;
        link.checked += 1;
        let mut refused =
            !(asked_for || from_itself || hint) || anothers || link.checked > MAX_CHECKED || !is_sound(&entry);
        let (mut bound, mut mistaken) = (None, false);
        if !refused {
            bound = self.owner(&entry.relay_id);
            let claimed = (entry.relay_id.clone(), entry.public_key.clone());
            let disproven = self.disproven.get(&claimed).is_some_and(|until| *until > now);
            mistaken = bound.as_ref().is_some_and(|key| *key != entry.public_key)
                || (disproven && !from_itself)
                || rival.is_some_and(|rival| {
                    rival == self.own || bound.is_none() && self.table.row(rival).is_some_and(|row| !row.is_hearsay())
                });
            refused = mistaken;
        }
        if !refused && !self.is_signed(&entry) {
            // The peer forwarded it without verifying it, or has forged it.
            self.counters.refused += 1;
            self.close(now, id, CloseReason::Misbehaving);
            return;
        }
        let announced = offer.map_or(FARTHEST, |offer| offer.distance);
        if !refused
            && bound.is_none()
            && let Some(rival) = rival
            && self.table.row(rival).is_some_and(|row| !row.is_replaceable())
        {
            let claim = Claim {
                entry: Arc::clone(&entry),
                link: id,
                distance: announced,
            };
            self.claim(now, rival, claim);
            (refused, mistaken) = (true, true);
        }
        if mistaken && let Some(link) = self.links.get_mut(&id) {
            // Otherwise its announcement would keep this relay from requesting the right entry from others.
            link.mistaken.retain(|_, until| *until > now);
            if link.mistaken.len() < MAX_RELAYS {
                link.mistaken
                    .insert(entry.relay_id.clone(), now + self.config.interval * MISTAKEN_FOR);
            }
        }
        if refused {
            self.counters.refused += 1;
            return;
        }
        if slot == Some(self.own) {
            return self.exceed(now, &entry);
        }
        if self
            .forgotten
            .get(&entry.relay_id)
            .is_some_and(|old| old.public_key == entry.public_key && order(&entry) <= old.order)
        {
            return;
        }
        if let Some(rival) = rival {
            self.set_disproven(now, rival);
            self.evict(rival);
        }
        let Some(slot) = slot else {
            return self.learn(now, id, entry, announced);
        };
        if let Some(accusation) = self.table.update(slot, entry, now) {
            self.strike(&accusation.by);
        }
        if let Some(local) = self.table.row_mut(slot).and_then(|row| row.local.as_mut()) {
            local.suspicion = None;
        }
        self.taken(now, slot, bit);
    }

    /// Adds a relay that was unknown, if the introducer's quota and the table have capacity.
    pub(crate) fn learn(&mut self, now: Duration, id: LinkId, entry: Arc<RelayEntry>, announced: u8) {
        let Some(link) = self.links.get(&id) else { return };
        let (bit, from_itself) = (link.bit, entry.relay_id == link.peer);
        let introduction = match from_itself {
            true => None,
            false => self.introduction(now, id, &entry, announced),
        };
        let exhausted = introduction.is_none() && !from_itself;
        if exhausted || !self.ensure_capacity(now, introduction.as_ref()) {
            self.counters.refused += 1;
            return;
        }
        self.forgotten.remove(&entry.relay_id);
        let name = entry.relay_id.clone();
        let offers = self.links.values().filter_map(|link| {
            let offer = link.offers.get(&name)?;
            ((offer.incarnation, offer.version) == order(&entry)).then(|| (link.peer.clone(), offer.distance))
        });
        let others: Vec<(RelayId, u8)> = offers.collect();
        let left = entry.status == RelayStatus::Left;
        let row = Row::new(entry, now);
        let slot = match introduction {
            Some((introducer, distance)) => {
                let slot = self.table.insert(row.introduced_by(introducer.clone(), distance));
                for (other, distance) in others {
                    self.table.add_announcer(slot, &other, distance);
                }
                self.keep_quota(now, &introducer);
                slot
            }
            None => self.table.insert(row),
        };
        match left {
            // It was unknown here: neither its arrival nor its leaving is reported.
            true => self
                .table
                .row_mut(slot)
                .into_iter()
                .for_each(|row| row.local().down_since = Some(now)),
            false => self.out.push_back(Output::Connected(name)),
        }
        self.taken(now, slot, bit);
    }

    /// An entry was added or replaced: it is announced to the other links.
    fn taken(&mut self, now: Duration, slot: Slot, bit: u64) {
        self.counters.entries_taken += 1;
        self.spare.learned();
        self.prune_offers(slot);
        let links = &self.links;
        if let Some(row) = self.table.row_mut(slot) {
            row.known_by = bit;
            let linked = links.iter().find(|(_, link)| link.peer == row.entry.relay_id);
            if let Some((id, link)) = linked {
                let local = row.local();
                local.link = Some(*id);
                local.last_received.get_or_insert(link.up);
                local.latency.get_or_insert(link.latency);
            }
            let linked = linked.is_some();
            if row.local.as_ref().is_some_and(|local| local.down_since.is_some()) || row.has_left() {
                self.table.unhealthy.insert(slot);
            }
            if linked {
                self.table.mark_first_hand(slot);
            }
        }
        self.update_health(now, slot);
        self.mark_changed(now, slot);
    }

    fn is_signed(&self, entry: &RelayEntry) -> bool {
        self.keys
            .verify(&entry.public_key, &entry_bytes(entry), &entry.signature)
    }
}

/// Within the limits of the wire. The name was validated when it was parsed.
fn is_sound(entry: &RelayEntry) -> bool {
    let printable = |text: &str, most: usize| text.len() <= most && text.bytes().all(|b| b.is_ascii_graphic());
    // One encoding per key: two would be two keys.
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    // A relay that cannot be dialled has no address.
    hex(&entry.public_key, PUBLIC_KEY)
        && hex(&entry.signature, SIGNATURE)
        && printable(&entry.address, MAX_ADDRESS)
        && printable(&entry.software_version, MAX_SOFTWARE_VERSION)
        && entry.capabilities.len() <= MAX_CAPABILITIES
        && entry
            .capabilities
            .iter()
            .all(|capability| printable(capability, MAX_CAPABILITY))
}
