//! Whose a name is: who gets it, and what happens when two keys claim it.

use std::time::Duration;

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::MAX_FORGOTTEN;
use crate::output::Peer;
use crate::table::{Place, Row};

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
        let place = self.table.place(peer.relay_id.as_str());
        let other = place.filter(|place| {
            let row = self.table.row(*place);
            row.is_some_and(|row| row.entry.public_key != peer.public_key)
        });
        let linked = self
            .links
            .values()
            .any(|link| link.peer == peer.relay_id && link.public_key != peer.public_key);
        match other {
            _ if bound.is_some() => other.into_iter().for_each(|place| self.evict(place)),
            Some(place) if self.table.row(place).is_some_and(Row::gives_way) => self.evict(place),
            Some(place) => {
                self.contest(now, place);
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
    pub(crate) fn contest(&mut self, now: Duration, place: Place) {
        let Some(row) = self.table.row_mut(place) else { return };
        if row.is_hearsay() && row.link().is_none() {
            row.local().contested = true;
            self.table.trouble.insert(place);
            self.dial_row(now, place, true);
        }
    }

    /// A contested name was not answered for: it is not learned again with this key for a while.
    pub(crate) fn disprove(&mut self, now: Duration, place: Place) {
        if let Some(entry) = self.table.row(place).map(|row| &row.entry)
            && self.disproven.len() < MAX_FORGOTTEN
        {
            let until = now + self.config.interval * DISPROVEN_FOR;
            self.disproven
                .insert(entry.relay_id.clone(), (entry.public_key.clone(), until));
        }
        self.evict(place);
    }
}
