//! Which of the relays that stand accused are dialled, and in which order.

use std::collections::BTreeMap;
use std::time::Duration;

use sdk_relay_protocol::mesh::RelayId;

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::MAX_ACCUSED_DIALS;
use crate::table::{Hearsay, Place};

/// Relays that are to be dialled, the nearest last, by the peer by whose word they are known.
type Due = BTreeMap<RelayId, Vec<(u8, Place)>>;

impl<K: Keys> Mesh<K> {
    /// Relays that stand accused for two intervals are dialled, before they are taken for critical by the word of others: they may not know of it.
    ///
    /// Of those from which nothing was received first hand, [`MAX_ACCUSED_DIALS`] are dialled at a time. Dials are shared between the peers by whose word
    /// they are known: relays that do not answer delay only others of the same peer.
    pub(crate) fn ask_accused(&mut self, now: Duration) {
        let mut heard = Vec::new();
        let mut due = Due::new();
        for &place in &self.table.trouble {
            let Some(row) = self.table.row(place).filter(|_| self.is_due(now, place)) else {
                continue;
            };
            let distance = self.distance(place, row);
            match row.hearsay() {
                None => heard.push((distance, place)),
                Some(Hearsay { introducer, .. }) => due.entry(introducer.clone()).or_default().push((distance, place)),
            }
        }
        heard.sort_unstable();
        for (_, place) in heard {
            self.dial_row(now, place, true);
        }
        for places in due.values_mut() {
            places.sort_unstable_by(|one, other| other.cmp(one));
        }
        let table = &self.table;
        self.accused_dialled.retain(|peer, _| table.introduced(peer).all() > 0);
        while let Some(peer) = self.next_in_turn(&due) {
            let place = due.get_mut(&peer).and_then(Vec::pop);
            if place.is_some_and(|(_, place)| self.dial_row(now, place, true)) {
                self.accused_dialled.insert(peer, now);
            }
        }
    }

    /// Whether a relay stands accused and is to be dialled now. Where its name is claimed too, it is dialled for that.
    fn is_due(&self, now: Duration, place: Place) -> bool {
        let row = self.table.row(place).filter(|row| row.accusation().is_some());
        let doubt = row.and_then(|row| row.local.as_ref()?.doubt);
        doubt.is_some_and(|doubt| !doubt.silent && now + self.config.interval >= doubt.until)
            && !self.is_contested(place)
            && self.can_dial(now, place)
    }

    /// The peer with the fewest of these dials under way, of these the one that has waited longest, of these the one that says it is nearest to its relay.
    fn next_in_turn(&self, due: &Due) -> Option<RelayId> {
        let under_way: Vec<&RelayId> = self.introducers_of_accused().collect();
        if under_way.len() >= MAX_ACCUSED_DIALS {
            return None;
        }
        let turns = due.iter().filter_map(|(peer, places)| {
            let (distance, _) = places.last()?;
            let its = under_way.iter().filter(|other| **other == peer).count();
            Some((its, self.accused_dialled.get(peer), distance, peer))
        });
        turns.min().map(|(.., peer)| peer.clone())
    }
}
