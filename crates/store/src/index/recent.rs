//! Cache of recently written outputs: most outputs are spent soon, and are then referenced by position.

use std::collections::{HashMap, VecDeque};

use bitcoin::OutPoint;

use super::IndexedBlock;
use super::spend::Place;

/// Capacity of the cache, about 20 MB: the outputs of a hundred full blocks.
pub(super) const OUTPUTS: usize = 200_000;

/// The newest outputs. Empty at each start, so outputs spent shortly after a start are written in full.
#[derive(Debug, Default)]
pub(super) struct Recent {
    places: HashMap<OutPoint, Place>,
    blocks: VecDeque<(u32, Vec<OutPoint>)>,
}

impl Recent {
    pub(super) fn place(&self, outpoint: &OutPoint) -> Option<Place> {
        self.places.get(outpoint).copied()
    }

    /// Adds the outputs of a block; evicts the oldest blocks.
    pub(super) fn add(&mut self, block: &IndexedBlock) {
        let outpoints = block.places().map(|(outpoint, place)| {
            self.places.insert(outpoint, place);
            outpoint
        });
        let outpoints = outpoints.collect();
        self.blocks.push_back((block.height, outpoints));
        while self.places.len() > OUTPUTS
            && let Some((_, gone)) = self.blocks.pop_front()
        {
            self.forget(&gone);
        }
    }

    /// Forgets the blocks above a height.
    pub(super) fn rewind(&mut self, height: u32) {
        while let Some((_, gone)) = self.blocks.pop_back_if(|(of, _)| *of > height) {
            self.forget(&gone);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn forget(&mut self, outpoints: &[OutPoint]) {
        for outpoint in outpoints {
            self.places.remove(outpoint);
        }
    }
}
