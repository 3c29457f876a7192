//! Blocks of the index whose bytes are not those that were written: they are set aside, and restored from the node's
//! block.
//!
//! Guarantees: a restored block has the very bytes that were written, which the record's checksum proves; what blocks
//! spend stays right; a damaged block keeps nobody from reading the others.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use bitcoin::OutPoint;

use super::recent::OUTPUTS;
use super::spend::Place;
use super::write::Rest;
use super::{BLOCKS_PER_SEGMENT, IndexError, IndexedBlock, Record, SPENT, TweakIndex, spent_key};

/// What is known of a block that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It is to be restored.
    Waiting,
    /// It could not be restored: the node no longer has the block, or it does not make the bytes that were written.
    Lost,
}

/// The damaged blocks that were met since the start.
#[derive(Default)]
pub(super) struct Damaged {
    blocks: Mutex<BTreeMap<u32, Damage>>,
    on_news: OnceLock<Box<dyn Fn() + Send + Sync>>,
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
    /// Has this called whenever another damaged block is met. The first caller alone is heeded.
    pub fn on_damage(&self, wake: impl Fn() + Send + Sync + 'static) {
        // A second one changes nothing, as it is documented.
        drop(self.damaged.on_news.set(Box::new(wake)));
    }

    /// The damaged blocks that were met so far, and are not restored.
    pub fn damaged(&self) -> BTreeMap<u32, Damage> {
        self.damaged.lock().clone()
    }

    /// Whether the block at this height is known to be damaged.
    pub fn damage_at(&self, height: u32) -> Option<Damage> {
        self.damaged.lock().get(&height).copied()
    }

    /// Notes that a damaged block cannot be restored, or (`Waiting`) that it is to be tried again. Nothing changes for
    /// any other block.
    pub fn set_damage(&self, height: u32, damage: Damage) {
        if let Some(known) = self.damaged.lock().get_mut(&height) {
            *known = damage;
        }
    }

    /// Reads a damaged block again: what failed may have been the disk's mood, or a lack of file descriptors. Whether
    /// it is well.
    pub fn is_readable_again(&self, height: u32) -> bool {
        let well = match self.record(height) {
            Ok(Some(record)) => matches!(self.read(height, record), Ok(Some(_))),
            // It has left the index.
            Ok(None) => true,
            Err(_) => false,
        };
        if well {
            self.damaged.lock().remove(&height);
        }
        well
    }

    /// Writes a damaged block's bytes anew. `false` when this block does not make the bytes that were written.
    pub fn restore(&self, block: &IndexedBlock) -> Result<bool, IndexError> {
        let Some(record) = self.record(block.height)?.filter(|record| record.hash == block.hash) else {
            // A reorganisation has taken it away.
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

    /// Sets the block aside, and says so.
    pub(super) fn corrupt(&self, height: u32) -> IndexError {
        // One that is lost stays so until it is tried again.
        let is_news = match self.damaged.lock().entry(height) {
            Entry::Vacant(place) => {
                place.insert(Damage::Waiting);
                true
            }
            Entry::Occupied(_) => false,
        };
        if is_news && let Some(wake) = self.damaged.on_news.get() {
            wake();
        }
        IndexError::Corrupt {
            height,
            dir: self.dir.clone(),
        }
    }

    /// Forgets the damage of blocks above a height, which have left the index.
    pub(super) fn forget_damage_above(&self, height: Option<u32>) {
        self.damaged
            .lock()
            .retain(|damaged, _| height.is_some_and(|height| *damaged <= height));
    }

    /// Where the outputs are that the block names by their places: the writer remembered them, so they are among the
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
        let mut goes_on = take(block, &mut wanted);
        let mut height = block.height;
        while goes_on && !wanted.is_empty() && height > 0 {
            height -= 1;
            let Some(record) = self.record(height)? else { break };
            // Of a damaged one nothing is known; the checksum shows whether it was needed.
            if let Ok(Some(stored)) = self.read(height, record) {
                goes_on = take(&stored.block, &mut wanted);
            }
        }
        Ok(places)
    }

    fn overwrite(&self, height: u32, record: Record, bytes: &[u8]) -> Result<(), IndexError> {
        self.write_segment(height / BLOCKS_PER_SEGMENT, record.offset, bytes, Rest::Kept)
    }
}
