//! The membership table.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_protocol::mesh::{Accusation, RelayEntry};

use crate::introductions::Introductions;
use crate::row::Row;
use crate::rows::{Rows, Slot};

/// All known relays.
#[derive(Default)]
pub struct Table {
    pub(crate) rows: Rows,
    pub(crate) introductions: Introductions,
    /// Rows that need attention: suspected, accused, critical, or left.
    pub unhealthy: BTreeSet<Slot>,
    /// Rows whose names other keys claim.
    pub contested: BTreeSet<Slot>,
}

impl Table {
    /// An empty table.
    pub fn new() -> Self {
        Self {
            rows: Rows::new(),
            ..Self::default()
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hash of all entries and of which of them are accused.
    pub fn digest(&self) -> u64 {
        self.rows.digest()
    }

    /// The same by buckets of names.
    pub fn buckets(&self) -> &[u64] {
        self.rows.buckets()
    }

    /// The slot of a name.
    pub fn slot(&self, id: &str) -> Option<Slot> {
        self.rows.slot(id)
    }

    /// The row in a slot.
    pub fn row(&self, slot: Slot) -> Option<&Row> {
        self.rows.get(slot)
    }

    /// The row in a slot. Changes that the digest covers have methods of their own.
    pub fn row_mut(&mut self, slot: Slot) -> Option<&mut Row> {
        self.rows.get_mut(slot)
    }

    /// The row of a name.
    pub fn find(&self, id: &str) -> Option<&Row> {
        self.row(self.slot(id)?)
    }

    /// The row of a name.
    pub fn find_mut(&mut self, id: &str) -> Option<&mut Row> {
        let slot = self.slot(id)?;
        self.row_mut(slot)
    }

    /// All rows, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &Row)> {
        self.rows.iter()
    }

    /// Rows in the buckets that differ from `theirs`.
    pub fn differing(&self, theirs: &[u64]) -> Vec<Slot> {
        self.rows.differing(theirs)
    }

    /// Adds a row.
    pub fn insert(&mut self, row: Row) -> Slot {
        if let Some(hearsay) = row.hearsay() {
            self.introductions.add(&hearsay.introducer, hearsay.distance);
        }
        self.rows.insert(row)
    }

    /// Removes a row.
    pub fn remove(&mut self, slot: Slot) -> Option<Row> {
        let row = self.rows.remove(slot)?;
        self.introductions.remove(row.hearsay());
        self.unhealthy.remove(&slot);
        self.contested.remove(&slot);
        Some(row)
    }

    /// Replaces an entry by a newer one. Returns the accusation that this refutes.
    pub fn update(&mut self, slot: Slot, entry: Arc<RelayEntry>, now: Duration) -> Option<Arc<Accusation>> {
        self.rows.change(slot, |row| row.update(entry, now))?
    }

    /// Records a valid accusation.
    pub fn accuse(&mut self, slot: Slot, accusation: Arc<Accusation>) {
        if self.rows.change(slot, |row| row.accuse(accusation)).is_some() {
            self.unhealthy.insert(slot);
        }
    }

    /// The link with this bit has ended.
    pub fn clear_link(&mut self, bit: u64) {
        for row in self.rows.iter_mut() {
            row.known_by &= !bit;
        }
    }
}
