//! Whose a name is: who gets it, and what happens when two keys claim it.

use std::collections::BTreeMap;
use std::time::Duration;

use sdk_relay_protocol::mesh::RelayId;

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::{MAX_CLAIMS, MAX_FORGOTTEN, MAX_RELAYS};
use crate::output::Peer;
use sdk_relay_mesh_table::LinkId;
use sdk_relay_mesh_table::{Claim, Row, Slot};

/// Intervals for which an entry is not taken again whose owner did not answer when another claimed its name. The true owner, if it was only away,
/// gets its name by a link of its own.
const DISPROVEN_FOR: u32 = 20;

impl<K: Keys> Mesh<K> {
    /// Whether a relay that has proven its key may have its name here.
    pub(crate) fn gets_name(&mut self, now: Duration, peer: &Peer) -> bool {
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

    /// The key under which a name is known here, unless it is known by hearsay alone: of the own table, and of the links.
    pub fn proven_key(&self, relay_id: &str) -> Option<&str> {
        let row = self.table.find(relay_id).filter(|row| !row.is_hearsay());
        let of_link = || self.links.values().find(|link| link.peer.as_str() == relay_id);
        row.map(|row| row.entry.public_key.as_str())
            .or_else(|| of_link().map(|link| link.public_key.as_str()))
    }

    /// Another key claims the name of a relay that is known by hearsay alone: it is dialled, and loses the name if it does not answer.
    /// What it `claims` is kept until then.
    pub(crate) fn contest(&mut self, now: Duration, slot: Slot, claim: Option<Claim>) {
        let Some(row) = self.table.row_mut(slot) else { return };
        if row.is_hearsay() && row.link().is_none() {
            let local = row.local();
            local.contested = true;
            local.claim = local.claim.take().or(claim);
            self.table.contested.insert(slot);
            self.settle_claims(now);
        }
    }

    /// A link brought an entry with another key for a name. A few at a time, the nearest: each costs a dial, and claims can be invented too.
    pub(crate) fn claim(&mut self, now: Duration, slot: Slot, claim: Claim) {
        let open = self.claims().into_iter().filter(|(_, link, _)| *link == claim.link);
        let open: Vec<(Slot, u8)> = open.map(|(slot, _, distance)| (slot, distance)).collect();
        if open.len() >= MAX_CLAIMS {
            let farthest = open.into_iter().max_by_key(|(_, distance)| *distance);
            let Some((farthest, _)) = farthest.filter(|(_, distance)| *distance > claim.distance) else {
                return;
            };
            self.uncontest(farthest);
        }
        self.contest(now, slot, Some(claim));
    }

    /// Nobody claims this name any more.
    pub(crate) fn uncontest(&mut self, slot: Slot) {
        if self.table.contested.remove(&slot)
            && let Some(local) = self.table.row_mut(slot).and_then(|row| row.local.as_mut())
        {
            (local.contested, local.claim) = (false, None);
        }
    }

    /// Claims that are not settled: what is claimed, over which link, and from how far.
    pub(crate) fn claims(&self) -> Vec<(Slot, LinkId, u8)> {
        let claims = self.table.contested.iter().filter_map(|slot| {
            let claim = self.table.row(*slot)?.local.as_ref()?.claim.as_ref()?;
            Some((*slot, claim.link, claim.distance))
        });
        claims.collect()
    }

    /// Dials relays whose names are claimed, as far as [`MAX_CONTESTED_DIALS`](crate::limits::MAX_CONTESTED_DIALS) allows: first for relays that came
    /// to claim their names, then for links of whose claims none was dialled for an interval, then one claim of each link, and so on, the nearest first.
    /// So near claims are settled early, and yet no number of them delays the claims of another link for long.
    pub(crate) fn settle_claims(&mut self, now: Duration) {
        let mut contested: Vec<(usize, u8, Slot, Option<LinkId>)> = Vec::new();
        for slot in &self.table.contested {
            let row = self.table.row(*slot).filter(|row| row.is_hearsay());
            let local = row.and_then(|row| row.local.as_ref());
            if local.is_some_and(|local| local.contested && local.claim.is_none()) {
                contested.push((0, 0, *slot, None));
            }
        }
        let mut claims = self.claims();
        claims.sort_by_key(|(_, _, distance)| *distance);
        let mut of_link: BTreeMap<LinkId, usize> = BTreeMap::new();
        for (slot, link, distance) in claims {
            let turn = of_link.entry(link).or_default();
            *turn += 1;
            let dialled = self.links.get(&link).map_or(now, |link| link.claim_dialled);
            let waited = *turn == 1 && now.saturating_sub(dialled) >= self.config.interval;
            contested.push((if waited { 0 } else { *turn }, distance, slot, Some(link)));
        }
        contested.sort_unstable();
        for (_, _, slot, link) in contested {
            if self.dial_row(now, slot, true)
                && let Some(link) = link.and_then(|id| self.links.get_mut(&id))
            {
                link.claim_dialled = now;
            }
        }
    }

    /// The claims of a link end with it: what it claimed could not be learned any more, and would keep the claims of other links out. These are asked for
    /// the names instead.
    pub(crate) fn drop_claims(&mut self, now: Duration, id: LinkId) {
        let claims = self.claims().into_iter().filter(|(_, link, _)| *link == id);
        let slots: Vec<Slot> = claims.map(|(slot, ..)| slot).collect();
        for slot in slots {
            self.uncontest(slot);
            if let Some(row) = self.table.row(slot) {
                let (name, distance) = (row.entry.relay_id.clone(), self.distance(slot, row));
                self.ask_all(now, &name, distance);
            }
        }
    }

    /// Asks each link once for a name, whether or not it has offered it.
    fn ask_all(&mut self, now: Duration, name: &RelayId, distance: u8) {
        for link in self.links.values_mut().filter(|link| link.lasts()) {
            if !link.offers.contains_key(name) && link.offers.len() < MAX_RELAYS {
                link.offer(name, (0, 0), false, distance);
                link.soon(now, self.config.interval);
            }
        }
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

    /// A contested name was not answered for: it is not learned again with this key for a while.
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
        // Links that know another key for it have announced it, or will not.
        self.ask_all(now, &name, distance);
    }

    /// The key that has proven to be a relay's: it is bound, or there is a link with it.
    pub(crate) fn owner(&self, relay_id: &RelayId) -> Option<String> {
        let linked = || {
            let link = self.links.values().find(|link| link.peer == *relay_id)?;
            Some(link.public_key.clone())
        };
        self.keys.bound_key(relay_id).or_else(linked)
    }
}
