//! Entries that peers have announced, and over which link each is requested.

use std::time::Duration;

use sdk_relay_protocol::mesh::{Have, RelayId};

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::{MAX_CLAIMS, MAX_ENTRIES, MAX_RELAYS};
use crate::link::{Link, Offer};
use sdk_relay_mesh_table::LinkId;
use sdk_relay_mesh_table::random::mix;
use sdk_relay_mesh_table::{Row, Slot, Table, name_hash};

impl<K: Keys> Mesh<K> {
    pub(crate) fn receive_have(&mut self, now: Duration, id: LinkId, have: &Have, announced: u8) {
        let Have(name, incarnation, version, accused) = have;
        let (theirs, accused) = ((*incarnation, *version), *accused != 0);
        // A name that is bound to another key belongs to another relay.
        let remembered = self.forgotten.get(name).is_some_and(|forgotten| {
            theirs <= forgotten.order && self.keys.bound_key(name).is_none_or(|key| key == forgotten.public_key)
        });
        let slot = self.table.slot(name.as_str());
        let Some(link) = self.links.get_mut(&id) else { return };
        let offers = link.offers.len() < MAX_RELAYS && link.mistaken.get(name).is_none_or(|until| *until <= now);
        let Some(slot) = slot else {
            // A peer without quota: its announcements would only be searched again and again.
            if !remembered && offers && (link.allowance.distance(announced).is_some() || *name == link.peer) {
                link.offer(name, theirs, accused, announced);
            }
            return;
        };
        if self.table.row(slot).is_some_and(|row| row.order() == theirs) {
            self.update_distance(now, id, slot, announced);
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(row) = self.table.row_mut(slot) else { return };
        let (ours, our_accused) = (row.order(), row.accusation().is_some());
        // Possibly another relay with the same name. Different incarnations are rare otherwise: a relay that was
        // restarted a moment ago.
        let another = row.is_replaceable() && theirs != ours || row.is_hearsay() && theirs.0 != ours.0;
        if another && offers {
            link.offer(name, theirs, accused, announced);
            return link.send_soon(now, self.config.interval);
        }
        match (theirs.cmp(&ours), accused, our_accused) {
            (std::cmp::Ordering::Greater, ..) | (std::cmp::Ordering::Equal, true, false) if offers => {
                link.offer(name, theirs, accused, announced);
            }
            (std::cmp::Ordering::Equal, ..) if accused == our_accused => {
                row.known_by |= link.bit;
                link.pending.remove(&slot);
            }
            _ => {
                row.known_by &= !link.bit;
                link.pending.insert(slot);
                link.send_soon(now, self.config.interval);
            }
        }
    }

    /// Removes the offers of other links that this row satisfies.
    pub(crate) fn prune_offers(&mut self, slot: Slot) {
        let Some(name) = self.table.row(slot).map(|row| row.entry.relay_id.clone()) else {
            return;
        };
        for link in self.links.values_mut() {
            if link
                .offers
                .get(&name)
                .is_some_and(|offer| lacks(&self.table, &name, offer) == (false, false))
            {
                link.offers.remove(&name);
            }
        }
    }

    /// Whether this link has an offer that can be requested now.
    pub(crate) fn can_request(&self, now: Duration, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| {
            link.offers
                .iter()
                .any(|(name, offer)| self.may_request(now, id, name, offer) && self.is_selected(now, id, name))
        })
    }

    /// When a refused offer can be requested again.
    pub(crate) fn next_retry(&self, now: Duration, id: LinkId) -> Option<Duration> {
        let offers = self.links.get(&id)?.offers.values();
        offers.map(|offer| offer.not_before).filter(|at| *at > now).min()
    }

    fn may_request(&self, now: Duration, id: LinkId, name: &RelayId, offer: &Offer) -> bool {
        let ask_again = now.saturating_sub(self.config.interval / 4);
        let elsewhere = self
            .requested
            .get(name)
            .is_some_and(|(link, at)| *link != id && *at > ask_again);
        offer.not_before <= now
            && !elsewhere
            && self
                .links
                .get(&id)
                .is_some_and(|link| self.may_deliver(link, name, offer))
    }

    /// Whether this link may deliver an offer: the relay is known, or the peer has quota left.
    fn may_deliver(&self, link: &Link, name: &RelayId, offer: &Offer) -> bool {
        match self.table.find(name.as_str()) {
            _ if *name == link.peer => true,
            Some(row) => !may_be_claim(row, offer) || link.claims.within(offer.distance) < MAX_CLAIMS,
            None => link.allowance.distance(offer.distance).is_some(),
        }
    }

    /// Names to request over this link, the nearest first, and whether the entry and the accusation are needed. If
    /// several links offer an entry, a hash selects one.
    pub(crate) fn wanted(&mut self, now: Duration, id: LinkId) -> Vec<(RelayId, bool, bool)> {
        let any = self.random.next() as usize;
        let Some(link) = self.links.get(&id) else {
            return Vec::new();
        };
        let (mut wanted, mut settled) = (Vec::new(), Vec::new());
        let mut allowance = link.allowance.clone();
        let skip = any.checked_rem(link.offers.len()).unwrap_or(0);
        let from_there = link.offers.iter().skip(skip).chain(link.offers.iter().take(skip));
        let mut nearest: Vec<_> = from_there.filter(|(_, offer)| offer.not_before <= now).collect();
        nearest.sort_by_key(|(_, offer)| offer.distance);
        for (name, offer) in nearest {
            if wanted.len() >= MAX_ENTRIES {
                break;
            }
            let (entry, accusation) = lacks(&self.table, name, offer);
            if !entry && !accusation {
                settled.push(name.clone());
            } else if self.may_request(now, id, name, offer) && self.is_selected(now, id, name) {
                if self.table.slot(name.as_str()).is_none() && *name != link.peer {
                    let Some(distance) = allowance.distance(offer.distance) else {
                        continue;
                    };
                    allowance.take(distance);
                }
                wanted.push((name.clone(), entry, accusation));
            }
        }
        if let Some(link) = self.links.get_mut(&id) {
            for name in settled {
                link.offers.remove(&name);
            }
        }
        wanted
    }

    /// Whether this link is the one, of those that offer an entry, that the hash selects.
    fn is_selected(&self, now: Duration, id: LinkId, name: &RelayId) -> bool {
        let seed = name_hash(name);
        let rank = |id: LinkId| mix(seed ^ id.0);
        let own = rank(id);
        self.links.iter().all(|(other, link)| {
            *other == id
                || rank(*other) > own
                || link.passing
                || link
                    .offers
                    .get(name)
                    .is_none_or(|offer| offer.not_before > now || !self.may_deliver(link, name, offer))
        })
    }

    /// The response has arrived: what was requested and is not in it is requested elsewhere.
    pub(crate) fn note_refusals(&mut self, now: Duration, id: LinkId) {
        let later = now + self.random.jittered(self.config.interval / 2);
        let Some(link) = self.links.get_mut(&id) else { return };
        let mut refused = Vec::new();
        for name in std::mem::take(&mut link.requesting) {
            self.requested.remove(&name);
            // It was requested without having been announced.
            if link.offers.get(&name).is_some_and(|offer| offer.incarnation == 0) {
                link.offers.remove(&name);
            }
            if let Some(offer) = link.offers.get_mut(&name) {
                offer.not_before = later;
                refused.push(name);
            }
        }
        for name in refused {
            for (_, link) in self.links.iter_mut().filter(|(other, _)| **other != id) {
                if link.offers.contains_key(&name) {
                    link.send_soon(now, self.config.interval);
                }
            }
        }
    }
}

/// Possibly another relay with the same name. Different incarnations are rare otherwise: a relay that was restarted a
/// moment ago.
fn may_be_claim(row: &Row, offer: &Offer) -> bool {
    row.is_hearsay() && row.order().0 != offer.incarnation && !row.is_replaceable()
}

/// Whether this relay lacks the offered entry, and whether it lacks the accusation.
fn lacks(table: &Table, id: &RelayId, offer: &Offer) -> (bool, bool) {
    let Offer {
        incarnation,
        version,
        accused,
        ..
    } = *offer;
    match table.find(id.as_str()) {
        None => (true, accused),
        Some(row) if row.order() < (incarnation, version) => (true, accused),
        Some(row) if row.is_replaceable() && row.order() != (incarnation, version) => (true, accused),
        Some(row) if row.is_hearsay() && row.order().0 != incarnation => (true, accused),
        Some(row) => {
            let same = row.order() == (incarnation, version);
            (false, same && accused && row.accusation().is_none())
        }
    }
}
