//! The chain as the stream has told it: recent blocks, and what to do when the source's tip is another one.

use std::collections::VecDeque;

use crate::event::BlockRef;

/// Recent blocks that are remembered: two weeks, as deep as a reorganisation can reach across a change of difficulty,
/// at 36 bytes each. Parents of older blocks are asked from the source.
pub const KEPT_BLOCKS: usize = 2016;

/// What brings the told chain nearer to the source's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing was ever told: begin at the source's tip.
    Begin,
    /// The told tip is the source's tip.
    Done,
    /// The source is higher: the blocks above `local` should connect to it.
    Extend {
        /// The told tip.
        local: BlockRef,
    },
    /// The source is on another branch, and not higher.
    Retreat,
}

/// The told chain's upper end. Blocks are in order, without holes, the tip last.
#[derive(Debug, Default)]
pub(super) struct LocalChain {
    recent: VecDeque<BlockRef>,
}

impl LocalChain {
    /// Takes over what the consumer knows. Where the heights have a hole, only the part above it counts.
    pub(super) fn new(recent: Vec<BlockRef>) -> Self {
        let mut chain = Self::default();
        for at in recent {
            if chain.tip().is_some_and(|tip| tip.height + 1 != at.height) {
                chain.recent.clear();
            }
            chain.connect(at);
        }
        chain
    }

    pub(super) fn tip(&self) -> Option<BlockRef> {
        self.recent.back().copied()
    }

    /// The block below the tip, where it is remembered.
    pub(super) fn parent(&self) -> Option<BlockRef> {
        self.recent
            .len()
            .checked_sub(2)
            .and_then(|i| self.recent.get(i))
            .copied()
    }

    /// What to do now that the source's tip is `target`.
    pub(super) fn step(&self, target: BlockRef) -> Step {
        match self.tip() {
            None => Step::Begin,
            Some(local) if local == target => Step::Done,
            Some(local) if local.height < target.height => Step::Extend { local },
            Some(_) => Step::Retreat,
        }
    }

    /// Puts a block on the tip.
    pub(super) fn connect(&mut self, at: BlockRef) {
        if self.recent.len() == KEPT_BLOCKS {
            self.recent.pop_front();
        }
        self.recent.push_back(at);
    }

    /// Takes the tip away; `parent` is the tip then.
    pub(super) fn disconnect(&mut self, parent: BlockRef) {
        self.recent.pop_back();
        if self.recent.is_empty() {
            self.recent.push_back(parent);
        }
    }

    /// Goes on from `at`, without what was before.
    pub(super) fn jump(&mut self, at: BlockRef) {
        self.recent.clear();
        self.recent.push_back(at);
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::BlockHash;
    use bitcoin::hashes::Hash;

    use super::*;

    fn at(height: u32, branch: u8) -> BlockRef {
        let mut bytes = [branch; 32];
        bytes[..4].copy_from_slice(&height.to_le_bytes());
        BlockRef {
            height,
            hash: BlockHash::from_byte_array(bytes),
        }
    }

    #[test]
    fn steps_towards_the_source() {
        let chain = LocalChain::new(vec![at(1, 0), at(2, 0)]);
        assert_eq!(LocalChain::default().step(at(2, 0)), Step::Begin);
        assert_eq!(chain.step(at(2, 0)), Step::Done);
        assert_eq!(chain.step(at(5, 0)), Step::Extend { local: at(2, 0) });
        assert_eq!(chain.step(at(2, 1)), Step::Retreat, "another block of the same height");
        assert_eq!(chain.step(at(1, 0)), Step::Retreat, "an invalidated tip");
    }

    #[test]
    fn remembers_a_bounded_number_of_blocks() {
        let mut chain = LocalChain::new((0..=KEPT_BLOCKS as u32).map(|h| at(h, 0)).collect());
        assert_eq!(chain.recent.len(), KEPT_BLOCKS);
        assert_eq!(chain.recent.front(), Some(&at(1, 0)));
        while let Some(parent) = chain.parent() {
            chain.disconnect(parent);
        }
        assert_eq!(chain.tip(), Some(at(1, 0)));
        chain.disconnect(at(0, 0));
        assert_eq!(
            chain.tip(),
            Some(at(0, 0)),
            "below the remembered blocks the source names the parent"
        );
    }

    #[test]
    fn a_hole_ends_what_is_known() {
        let chain = LocalChain::new(vec![at(1, 0), at(2, 0), at(4, 0), at(5, 0)]);
        assert_eq!(chain.recent, [at(4, 0), at(5, 0)]);
    }
}
