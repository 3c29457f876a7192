//! Which peer introduced which rows, and which row is evicted first.

use std::cmp::Reverse;

use sdk_relay_protocol::mesh::RelayId;

use crate::distance::Counts;
use crate::hearsay::Hearsay;
use crate::rows::Slot;
use crate::table::Table;

impl Table {
    /// Something was received from the relay itself.
    pub fn mark_first_hand(&mut self, slot: Slot) {
        let hearsay = self.row_mut(slot).and_then(|row| row.hearsay_mut().take());
        self.introductions.remove(hearsay.as_ref());
    }

    /// Counts a row from hearsay to the quota of this peer from now on.
    pub fn attribute(&mut self, slot: Slot, introducer: RelayId, distance: u8) {
        let Some(row) = self.rows.get_mut(slot).filter(|row| row.is_hearsay()) else {
            return;
        };
        let before = row.hearsay_mut().take();
        let hearsay = Hearsay::reattributed(before.as_ref(), introducer.clone(), distance);
        *row.hearsay_mut() = Some(hearsay);
        self.introductions.remove(before.as_ref());
        self.introductions.add(&introducer, distance);
    }

    /// Another peer than the introducer announced a row from hearsay.
    pub fn add_announcer(&mut self, slot: Slot, peer: &RelayId, distance: u8) {
        if let Some(hearsay) = self.row_mut(slot).and_then(|row| row.hearsay_mut().as_mut()) {
            hearsay.add_announcer(peer, distance);
        }
    }

    /// Rows that count to the quota of this peer.
    pub fn introduced(&self, peer: &RelayId) -> Counts {
        self.introductions.of(peer)
    }

    /// The farthest row that a peer has introduced.
    pub fn farthest_of(&self, peer: &RelayId) -> Option<Slot> {
        self.farthest(|hearsay| hearsay.introducer == *peer)
    }

    /// The row that a full table evicts for one at this distance, of a peer that will have introduced `fair` rows with
    /// it: the farthest of those that are farther; otherwise one at the same distance, of the peer that has introduced
    /// most, if that is more than `fair`.
    pub fn eviction_candidate(&self, distance: u8, fair: usize) -> Option<Slot> {
        self.farthest(|hearsay| hearsay.distance > distance).or_else(|| {
            let introductions = self.introductions.iter();
            let (most, _) = introductions
                .filter(|(_, counts)| counts.all() > fair && counts.at(distance) > 0)
                .max_by_key(|(_, counts)| counts.all())?;
            self.farthest(|hearsay| hearsay.introducer == *most && hearsay.distance == distance)
        })
    }

    /// The farthest row; among equals the one that fewest links have, then the youngest. A row that many links have,
    /// and an old one, is less likely invented.
    fn farthest(&self, fits: impl Fn(&Hearsay) -> bool) -> Option<Slot> {
        let hearsay = self.iter().filter_map(|(slot, row)| Some((slot, row, row.hearsay()?)));
        hearsay
            .filter(|(_, _, hearsay)| fits(hearsay))
            .min_by_key(|(_, row, hearsay)| {
                (
                    Reverse(hearsay.distance),
                    row.known_by.count_ones(),
                    Reverse(row.updated),
                )
            })
            .map(|(slot, ..)| slot)
    }
}
