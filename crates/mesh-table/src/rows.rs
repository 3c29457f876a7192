//! The rows by name, and the hashes over them.

use std::collections::{BTreeMap, HashMap};

use sdk_relay_protocol::mesh::RelayId;

use crate::random::mix;
use crate::row::Row;

/// Buckets of the digest. More would cost more per comparison (20 bytes each), fewer would announce more of what the
/// other relay has.
pub const BUCKETS: usize = 64;

/// Index of a row. Slots are reused: none is kept after its row was removed.
pub type Slot = u32;

#[derive(Default)]
pub(crate) struct Rows {
    rows: Vec<Option<Row>>,
    free: Vec<Slot>,
    /// Lookups by name are most of what a relay of a large mesh does.
    by_name: HashMap<RelayId, Slot>,
    in_order: BTreeMap<RelayId, Slot>,
    buckets: Vec<u64>,
    digest: u64,
}

impl Rows {
    pub(crate) fn new() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    pub(crate) fn slot(&self, id: &str) -> Option<Slot> {
        self.by_name.get(id).copied()
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Row> {
        self.rows.get(slot as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Row> {
        self.rows.get_mut(slot as usize)?.as_mut()
    }

    /// In the order of names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Row)> {
        self.in_order.values().filter_map(|&slot| Some((slot, self.get(slot)?)))
    }

    /// In any order.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Row> {
        self.rows.iter_mut().flatten()
    }

    /// Rows in the buckets that differ from `theirs`.
    pub(crate) fn differing(&self, theirs: &[u64]) -> Vec<Slot> {
        let differs: Vec<bool> = self
            .buckets
            .iter()
            .zip(theirs)
            .map(|(own, other)| own != other)
            .collect();
        let is_in_them = |id: &RelayId| differs.get(bucket(id)).copied().unwrap_or(true);
        self.in_order
            .iter()
            .filter(|(id, _)| is_in_them(id))
            .map(|(_, &slot)| slot)
            .collect()
    }

    pub(crate) fn insert(&mut self, row: Row) -> Slot {
        let id = row.entry.relay_id.clone();
        self.toggle(&id, row.hash());
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.rows.push(None);
                (self.rows.len() - 1) as Slot
            }
        };
        if let Some(free) = self.rows.get_mut(slot as usize) {
            *free = Some(row);
        }
        self.by_name.insert(id.clone(), slot);
        self.in_order.insert(id, slot);
        slot
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Row> {
        let row = self.rows.get_mut(slot as usize)?.take()?;
        self.toggle(&row.entry.relay_id, row.hash());
        self.by_name.remove(row.entry.relay_id.as_str());
        self.in_order.remove(row.entry.relay_id.as_str());
        self.free.push(slot);
        Some(row)
    }

    /// Changes a row, and the digest with it.
    pub(crate) fn change<T>(&mut self, slot: Slot, change: impl FnOnce(&mut Row) -> T) -> Option<T> {
        let row = self.get_mut(slot)?;
        let before = row.hash();
        let changed = change(row);
        let (after, id) = (row.hash(), row.entry.relay_id.clone());
        self.toggle(&id, before ^ after);
        Some(changed)
    }

    fn toggle(&mut self, id: &RelayId, hash: u64) {
        self.digest ^= hash;
        if let Some(part) = self.buckets.get_mut(bucket(id)) {
            *part ^= hash;
        }
    }
}

fn bucket(id: &RelayId) -> usize {
    (name_hash(id) % BUCKETS as u64) as usize
}

/// Hash of a name (FNV-1a, mixed): uniformly distributed, the same at all relays.
pub fn name_hash(id: &RelayId) -> u64 {
    let hash = id.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(hash)
}
