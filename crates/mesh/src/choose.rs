//! Random choices among known relays.

use std::collections::BTreeMap;
use std::time::Duration;

use sdk_relay_mesh_table::distance::FARTHEST;
use sdk_relay_mesh_table::{Row, Slot};

use crate::Mesh;
use crate::keys::Keys;

impl<K: Keys> Mesh<K> {
    /// A random row that can be dialled; with a preference for near ones while dials of unproven relays fail.
    pub(crate) fn choose_dialable(&mut self, now: Duration, fits: impl Fn(&Row) -> bool) -> Option<Slot> {
        let fit: Vec<Slot> = self
            .table
            .iter()
            .filter(|(slot, row)| fits(row) && self.can_dial(now, *slot))
            .map(|(slot, _)| slot)
            .collect();
        self.choose(fit, self.unproven_failures > 0)
    }

    /// A random row, with a preference for near ones.
    pub(crate) fn choose_near(&mut self, fits: impl Fn(&Row) -> bool) -> Option<Slot> {
        let fit: Vec<Slot> = self
            .table
            .iter()
            .filter(|(slot, row)| fits(row) && *slot != self.own)
            .map(|(slot, _)| slot)
            .collect();
        self.choose(fit, true)
    }

    /// A random one of these. With `near`, near rows are preferred, which are less likely invented: each distance gets
    /// half of what the nearer ones leave.
    fn choose(&mut self, slots: Vec<Slot>, near: bool) -> Option<Slot> {
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
