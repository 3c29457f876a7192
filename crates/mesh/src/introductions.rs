//! The quota of introducers, and which rows are evicted.

use std::time::Duration;

use sdk_relay_protocol::mesh::{RelayEntry, RelayId};

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::{INTRODUCED_AT_FIRST, INTRODUCED_PER_INTERVAL, MAX_INTRODUCED, MAX_RELAYS};
use crate::link::Link;
use crate::output::Output;
use sdk_relay_mesh_table::LinkId;
use sdk_relay_mesh_table::distance::{Allowance, Counts, FARTHEST, NEAR};
use sdk_relay_mesh_table::{Hearsay, Row, Slot, order};

impl<K: Keys> Mesh<K> {
    /// What this link may still introduce.
    fn allowance(&self, now: Duration, link: &Link) -> Allowance {
        let intervals = now.saturating_sub(link.up).as_secs_f64() / self.config.interval.as_secs_f64();
        let quota = match self.is_seed(&link.peer) {
            true => MAX_INTRODUCED,
            false => INTRODUCED_AT_FIRST + (intervals * INTRODUCED_PER_INTERVAL as f64) as usize,
        };
        Allowance::new(quota.min(MAX_INTRODUCED), self.table.introduced(&link.peer))
    }

    pub(crate) fn count_introductions(&mut self, now: Duration, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let allowance = self.allowance(now, link);
        let mut claims = Counts::default();
        let its = self.claims().into_iter().filter(|(_, link, _)| *link == id);
        its.for_each(|(_, _, distance)| claims.add(distance));
        let Some(link) = self.links.get_mut(&id) else { return };
        (link.allowance, link.claims) = (allowance, claims);
        if link.allowance.is_used_up() {
            let (table, peer, allowance) = (&self.table, &link.peer, &link.allowance);
            link.offers.retain(|name, offer| {
                name == peer || allowance.distance(offer.distance).is_some() || table.slot(name.as_str()).is_some()
            });
        }
    }

    /// The introducer of an entry that arrives over this link: of the links that announced it and have quota left, the
    /// one with the shortest distance.
    pub(crate) fn introduction(
        &self,
        now: Duration,
        id: LinkId,
        entry: &RelayEntry,
        announced: u8,
    ) -> Option<(RelayId, u8)> {
        let here = self.links.get(&id).map(|link| (link, announced));
        let others = self
            .links
            .iter()
            .filter(|(other, _)| **other != id)
            .filter_map(|(_, link)| {
                let offer = link.offers.get(&entry.relay_id)?;
                ((offer.incarnation, offer.version) == order(entry)).then_some((link, offer.distance))
            });
        let able = here.into_iter().chain(others).filter_map(|(link, announced)| {
            let distance = self.allowance(now, link).distance(announced)?;
            Some((link.peer.clone(), distance))
        });
        able.min_by_key(|(_, distance)| *distance)
    }

    /// A peer announced its distance to a row. A shorter path counts; a longer one only from the introducer itself.
    pub(crate) fn update_distance(&mut self, now: Duration, id: LinkId, slot: Slot, announced: u8) {
        let (Some(link), Some(row)) = (self.links.get(&id), self.table.row(slot)) else {
            return;
        };
        let Some(hearsay) = row.hearsay() else { return };
        let own_word = hearsay.introducer == link.peer;
        if !own_word {
            let peer = link.peer.clone();
            self.table.add_announcer(slot, &peer, announced);
        }
        let (Some(link), Some(hearsay)) = (self.links.get(&id), self.table.row(slot).and_then(Row::hearsay)) else {
            return;
        };
        if announced == hearsay.distance || (announced > hearsay.distance && !own_word) {
            return;
        }
        let distance = match announced > hearsay.distance {
            true => Some(announced),
            false => self
                .allowance(now, link)
                .distance(announced)
                .filter(|distance| *distance < hearsay.distance),
        };
        if let Some(distance) = distance {
            let peer = link.peer.clone();
            self.table.attribute(slot, peer.clone(), distance);
            self.keep_quota(now, &peer);
        }
    }

    /// If a peer has introduced more than its quota, its farthest row is attributed to another announcer that has quota
    /// left, or evicted.
    pub(crate) fn keep_quota(&mut self, now: Duration, peer: &RelayId) {
        let Some(link) = self
            .link_to(peer)
            .filter(|link| self.allowance(now, link).is_exceeded())
        else {
            return;
        };
        let Some(slot) = self.table.farthest_of(&link.peer) else {
            return;
        };
        let others = self.table.row(slot).and_then(Row::hearsay).map(Hearsay::announcers);
        let able = others.into_iter().flatten().filter_map(|(other, announced)| {
            let distance = self.allowance(now, self.link_to(other)?).distance(*announced)?;
            Some((distance, other.clone()))
        });
        match able.min() {
            Some((distance, other)) => self.table.attribute(slot, other, distance),
            None => self.evict(slot),
        }
    }

    fn link_to(&self, peer: &RelayId) -> Option<&Link> {
        self.links.values().find(|link| link.peer == *peer)
    }

    /// The distance of a row, as it is announced.
    pub(crate) fn distance(&self, slot: Slot, row: &Row) -> u8 {
        let lasts = |link: LinkId| self.links.get(&link).is_some_and(Link::is_persistent);
        match row.hearsay() {
            _ if slot == self.own => 0,
            Some(_) if row.is_replaceable() => FARTHEST,
            Some(hearsay) => hearsay.distance,
            None if row.link().is_some_and(lasts) => 1,
            None => NEAR,
        }
    }

    /// Makes capacity for one more row with this introduction (`None`: first hand). In a full table a row that is down
    /// is removed; otherwise a farther one, or one at the same distance of an introducer with more rows, is evicted.
    /// First-hand rows are evicted for first-hand rows only.
    pub(crate) fn ensure_capacity(&mut self, now: Duration, introduction: Option<&(RelayId, u8)>) -> bool {
        if self.table.len() < MAX_RELAYS {
            return true;
        }
        let gone = |slot: &Slot| {
            self.table
                .row(*slot)
                .is_some_and(|row| row.down_since().is_some() && row.link().is_none())
        };
        if let Some(slot) = self.table.unhealthy.iter().copied().find(gone) {
            self.forget(now, slot);
            return true;
        }
        let least = match introduction {
            Some((introducer, distance)) => {
                let fair = self.table.introduced(introducer).all() + 1;
                self.table.eviction_candidate(*distance, fair)
            }
            None => self.table.eviction_candidate(0, 0).or_else(|| {
                let unlinked = self
                    .table
                    .iter()
                    .filter(|(slot, row)| *slot != self.own && row.link().is_none() && !row.is_hearsay());
                unlinked
                    .min_by_key(|(_, row)| row.last_received())
                    .map(|(slot, _)| slot)
            }),
        };
        let Some(least) = least else { return false };
        self.evict(least);
        true
    }

    /// Removes a row of a relay that is not down: it may be learned again immediately.
    pub(crate) fn evict(&mut self, slot: Slot) {
        let Some(row) = self.take_out(slot) else { return };
        self.counters.evicted += 1;
        if row.down_since().is_none() && !row.has_left() {
            self.out.push_back(Output::Disconnected {
                relay_id: row.entry.relay_id.clone(),
                address: row.entry.address.clone(),
                left: false,
            });
        }
    }
}
