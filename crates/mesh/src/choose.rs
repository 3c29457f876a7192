//! Random choices among known relays.

use std::collections::BTreeMap;
use std::time::Duration;

use sdk_relay_mesh_table::distance::FARTHEST;
use sdk_relay_mesh_table::{Row, Slot};

use crate::Mesh;
use crate::keys::Keys;

impl<K: Keys> Mesh<K> {
    /// Any row that can be dialled; rather a near one, while relays that nobody here has heard from do not answer.
    pub(crate) fn draw(&mut self, now: Duration, fits: impl Fn(&Row) -> bool) -> Option<Slot> {
        let fit: Vec<Slot> = self
            .table
            .iter()
            .filter(|(slot, row)| fits(row) && self.can_dial(now, *slot))
            .map(|(slot, _)| slot)
            .collect();
        self.any_of(fit, self.misses > 0)
    }

    /// Any row, rather a near one.
    pub(crate) fn pick(&mut self, fits: impl Fn(&Row) -> bool) -> Option<Slot> {
        let fit: Vec<Slot> = self
            .table
            .iter()
            .filter(|(slot, row)| fits(row) && *slot != self.own)
            .map(|(slot, _)| slot)
            .collect();
        self.any_of(fit, true)
    }

    /// Any of these. Rather `near` ones, which are less likely invented: of each distance half of what the nearer ones leave.
    fn any_of(&mut self, slots: Vec<Slot>, near: bool) -> Option<Slot> {
        let mut slots = slots;
        if near {
            let mut classes: BTreeMap<u8, Vec<Slot>> = BTreeMap::new();
            for slot in slots {
                let distance = self.table.row(slot).map_or(FARTHEST, |row| self.distance(slot, row));
                classes.entry(distance).or_default().push(slot);
            }
            slots = Vec::new();
            for (_, class) in classes {
                let here = self.random.next().is_multiple_of(2);
                slots = class;
                if here {
                    break;
                }
            }
        }
        match slots.is_empty() {
            true => None,
            false => Some(slots.swap_remove(self.random.below(slots.len()))),
        }
    }
}
