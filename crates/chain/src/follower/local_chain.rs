//! The local chain (recent blocks of the event stream), and the next step towards the tip of the source.

use std::collections::VecDeque;

use crate::event::BlockRef;

/// Recent blocks that are kept: two weeks (one difficulty period), at 36 bytes each. Parents of older blocks are
/// requested from the source.
pub const KEPT_BLOCKS: usize = 2016;

/// The next step towards the chain of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The local chain is empty: begin at the tip of the source.
    Begin,
    /// The local tip equals the tip of the source.
    Done,
    /// The source is higher: its blocks above `local` should connect.
    Extend {
        /// The local tip.
        local: BlockRef,
    },
    /// The source is on another branch, and not higher.
    Retreat,
}

/// The most recent blocks of the local chain: in order, without gaps, the tip last.
#[derive(Debug, Default)]
pub(super) struct LocalChain {
    recent: VecDeque<BlockRef>,
}

impl LocalChain {
    /// Starts from the blocks that the consumer knows. If the heights have a gap, only the blocks above it are used.
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

    /// The parent of the tip, if it is kept.
    pub(super) fn parent(&self) -> Option<BlockRef> {
        self.recent
            .len()
            .checked_sub(2)
            .and_then(|i| self.recent.get(i))
            .copied()
    }

    /// The next step if the tip of the source is `target`.
    pub(super) fn step(&self, target: BlockRef) -> Step {
        match self.tip() {
            None => Step::Begin,
            Some(local) if local == target => Step::Done,
            Some(local) if local.height < target.height => Step::Extend { local },
            Some(_) => Step::Retreat,
        }
    }

    /// Appends a block.
    pub(super) fn connect(&mut self, at: BlockRef) {
        if self.recent.len() == KEPT_BLOCKS {
            self.recent.pop_front();
        }
        self.recent.push_back(at);
    }

    /// Removes the tip; `parent` is the new tip.
    pub(super) fn disconnect(&mut self, parent: BlockRef) {
        self.recent.pop_back();
        if self.recent.is_empty() {
            self.recent.push_back(parent);
        }
    }

    /// Restarts the chain at `at`, without earlier blocks.
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
    fn keeps_a_bounded_number_of_blocks() {
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
            "below the kept blocks, the source gives the parent"
        );
    }

    #[test]
    fn a_gap_drops_the_older_blocks() {
        let chain = LocalChain::new(vec![at(1, 0), at(2, 0), at(4, 0), at(5, 0)]);
        assert_eq!(chain.recent, [at(4, 0), at(5, 0)]);
    }
}
