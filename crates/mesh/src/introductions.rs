//! How many relays a peer may introduce, and which of them make way.

use std::time::Duration;

use sdk_relay_protocol::mesh::RelayId;

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::{INTRODUCED_AT_FIRST, INTRODUCED_PER_INTERVAL, MAX_INTRODUCED, MAX_RELAYS};
use crate::output::{LinkId, Output};
use crate::table::Place;

impl<K: Keys> Mesh<K> {
    /// Relays that this link may still introduce.
    pub(crate) fn may_introduce(&self, now: Duration, link: LinkId) -> usize {
        let Some(link) = self.links.get(&link) else { return 0 };
        let intervals = now.saturating_sub(link.up).as_secs_f64() / self.config.interval.as_secs_f64();
        let quota = match self.is_seed(&link.peer) {
            true => MAX_INTRODUCED,
            false => INTRODUCED_AT_FIRST + (intervals * INTRODUCED_PER_INTERVAL as f64) as usize,
        };
        quota
            .min(MAX_INTRODUCED)
            .saturating_sub(self.table.introduced(&link.peer))
    }

    pub(crate) fn count_introductions(&mut self, now: Duration, id: LinkId) {
        let left = self.may_introduce(now, id);
        let Some(link) = self.links.get_mut(&id) else { return };
        link.may_introduce = left;
        if left == 0 {
            let (table, peer) = (&self.table, &link.peer);
            link.offers
                .retain(|name, _| name == peer || table.place(name.as_str()).is_some());
        }
    }

    /// Whether one more relay can be known, of which `introducer` tells; itself, where that is `None`. Where the table is full, one that is gone makes
    /// way; else one that is known by the word of a peer that has introduced more than this one. What is known at first hand makes way only for
    /// what comes at first hand.
    pub(crate) fn has_room(&mut self, now: Duration, introducer: Option<&RelayId>) -> bool {
        if self.table.len() < MAX_RELAYS {
            return true;
        }
        let gone = |place: &Place| {
            self.table
                .row(*place)
                .is_some_and(|row| row.gone().is_some() && row.link().is_none())
        };
        if let Some(place) = self.table.trouble.iter().copied().find(gone) {
            self.forget(now, place);
            return true;
        }
        let fair = introducer.map_or(0, |introducer| self.table.introduced(introducer) + 1);
        let least = self.table.least_founded(fair).or_else(|| {
            let unlinked = self.table.iter().filter(|(place, row)| {
                introducer.is_none() && *place != self.own && row.link().is_none() && !row.is_hearsay()
            });
            unlinked.min_by_key(|(_, row)| row.heard()).map(|(place, _)| place)
        });
        let Some(least) = least else { return false };
        self.evict(least);
        true
    }

    /// Takes a relay out of the table that has not died: it may come back at once.
    pub(crate) fn evict(&mut self, place: Place) {
        let Some(row) = self.take_out(place) else { return };
        self.counters.evicted += 1;
        if row.gone().is_none() && !row.has_left() {
            self.out.push_back(Output::Disconnected {
                relay_id: row.entry.relay_id.clone(),
                address: row.entry.address.clone(),
                goodbye: false,
            });
        }
    }
}
