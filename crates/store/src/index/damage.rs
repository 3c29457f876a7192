//! Damaged blocks of the index: they are quarantined, and restored from the block of the node.
//!
//! Guarantees: a restored block has exactly the bytes that were written, verified by the checksum of the record;
//! references to spent outputs stay valid; all other blocks remain readable.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use bitcoin::OutPoint;

use super::recent::OUTPUTS;
use super::spend::Place;
use super::write::Rest;
use super::{BLOCKS_PER_SEGMENT, IndexError, IndexedBlock, Record, SPENT, TweakIndex, spent_key};

/// State of a damaged block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// To be restored.
    Waiting,
    /// It could not be restored: the node no longer has the block, or its block does not give the bytes that were
    /// written.
    Lost,
}

/// The damaged blocks found since the start.
#[derive(Default)]
pub(super) struct Damaged {
    blocks: Mutex<BTreeMap<u32, Damage>>,
    on_damage: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl std::fmt::Debug for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Damaged").field(&self.blocks).finish()
    }
}

impl Damaged {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Damage>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TweakIndex {
    /// Sets the callback for each newly found damaged block. Only the first call has an effect.
    pub fn on_damage(&self, wake: impl Fn() + Send + Sync + 'static) {
        // A second call has no effect, as documented.
        drop(self.damaged.on_damage.set(Box::new(wake)));
    }

    /// The damaged blocks found so far that are not restored.
    pub fn damaged(&self) -> BTreeMap<u32, Damage> {
        self.damaged.lock().clone()
    }

    /// Whether the block at this height is known to be damaged.
    pub fn damage_at(&self, height: u32) -> Option<Damage> {
        self.damaged.lock().get(&height).copied()
    }

    /// Records that a damaged block cannot be restored, or (`Waiting`) that it should be retried. No effect for any
    /// other block.
    pub fn set_damage(&self, height: u32, damage: Damage) {
        if let Some(known) = self.damaged.lock().get_mut(&height) {
            *known = damage;
        }
    }

    /// Reads a damaged block once more and returns whether it is intact: the failure may have been a transient I/O
    /// error, or a lack of file descriptors.
    pub fn recheck(&self, height: u32) -> bool {
        let intact = match self.record(height) {
            Ok(Some(record)) => matches!(self.read(height, record), Ok(Some(_))),
            // It is no longer in the index.
            Ok(None) => true,
            Err(_) => false,
        };
        if intact {
            self.damaged.lock().remove(&height);
        }
        intact
    }

    /// Rewrites the bytes of a damaged block. `false` if `block` does not give the bytes that were written.
    pub fn restore(&self, block: &IndexedBlock) -> Result<bool, IndexError> {
        let Some(record) = self.record(block.height)?.filter(|record| record.hash == block.hash) else {
            // A reorganisation has removed it.
            self.damaged.lock().remove(&block.height);
            return Ok(true);
        };
        let places = self.places_of_spent(block)?;
        let (bytes, _) = block.to_bytes(|outpoint| places.get(outpoint).copied());
        let is_same = usize::try_from(record.length).is_ok_and(|length| length == bytes.len());
        if !is_same || crc32fast::hash(&bytes) != record.crc {
            return Ok(false);
        }
        self.overwrite(block.height, record, &bytes)?;
        self.damaged.lock().remove(&block.height);
        Ok(true)
    }

    /// Quarantines the block, and returns the error.
    pub(super) fn corrupt(&self, height: u32) -> IndexError {
        // A lost block stays lost until it is retried.
        let is_new = match self.damaged.lock().entry(height) {
            Entry::Vacant(place) => {
                place.insert(Damage::Waiting);
                true
            }
            Entry::Occupied(_) => false,
        };
        if is_new && let Some(wake) = self.damaged.on_damage.get() {
            wake();
        }
        IndexError::Corrupt {
            height,
            dir: self.dir.clone(),
        }
    }

    /// Forgets the damage of blocks above a height, which are no longer in the index.
    pub(super) fn forget_damage_above(&self, height: Option<u32>) {
        self.damaged
            .lock()
            .retain(|damaged, _| height.is_some_and(|height| *damaged <= height));
    }

    /// Positions of the outputs that the block refers to by position: the writer had cached them, so they are among the
    /// last [`OUTPUTS`].
    fn places_of_spent(&self, block: &IndexedBlock) -> Result<HashMap<OutPoint, Place>, IndexError> {
        let mut wanted: HashSet<OutPoint> = HashSet::new();
        {
            let read = self.db.begin_read()?;
            let table = read.open_table(SPENT)?;
            for spent in &block.spent {
                let row = table.get(spent_key(&spent.outpoint))?;
                if row.is_none_or(|height| height.value() != block.height) {
                    wanted.insert(spent.outpoint);
                }
            }
        }
        let mut places = HashMap::new();
        let mut outputs = 0;
        let mut take = |of: &IndexedBlock, wanted: &mut HashSet<OutPoint>| {
            for (outpoint, place) in of.places() {
                outputs += 1;
                if wanted.remove(&outpoint) {
                    places.insert(outpoint, place);
                }
            }
            outputs <= OUTPUTS
        };
        let mut more = take(block, &mut wanted);
        let mut height = block.height;
        while more && !wanted.is_empty() && height > 0 {
            height -= 1;
            let Some(record) = self.record(height)? else { break };
            // A damaged block is skipped; the checksum shows whether it was needed.
            if let Ok(Some(stored)) = self.read(height, record) {
                more = take(&stored.block, &mut wanted);
            }
        }
        Ok(places)
    }

    fn overwrite(&self, height: u32, record: Record, bytes: &[u8]) -> Result<(), IndexError> {
        self.write_segment(height / BLOCKS_PER_SEGMENT, record.offset, bytes, Rest::Kept)
    }
}
