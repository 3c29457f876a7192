//! The spends of the newest blocks, for payments that a scan reports after the block of their spend.

use std::collections::VecDeque;

use bitcoin::{BlockHash, OutPoint, Txid};

use super::spend::{Spend, Spends};

/// Blocks that are always kept: the index, from which histories are read, may be this far behind detection. A block of
/// mainnet has some 3,000 inputs that can spend a payment, 0.4 MB; 17,000 are possible.
pub(super) const KEPT: u32 = 16;

/// The spends of consecutive blocks, up to the tip of detection.
#[derive(Debug, Default)]
pub(super) struct RecentSpends {
    /// The lowest block first, each with its height and hash.
    blocks: VecDeque<(u32, BlockHash, Spends)>,
}

impl RecentSpends {
    /// A block was connected at this height. `oldest_scan`: the lowest block that is not completely scanned for
    /// watches; it and all above it are kept too. Their number is bounded by the bound on scans that are behind.
    pub(super) fn connect(&mut self, height: u32, hash: BlockHash, spends: Spends, oldest_scan: Option<u32>) {
        self.blocks.push_back((height, hash, spends));
        let first = height.saturating_add(1).saturating_sub(KEPT);
        let first = oldest_scan.map_or(first, |oldest| first.min(oldest));
        while self.blocks.pop_front_if(|(height, ..)| *height < first).is_some() {}
    }

    /// A block was disconnected. Returns its spends, if they are kept.
    pub(super) fn disconnect(&mut self, hash: BlockHash) -> Option<Spends> {
        let (_, _, spends) = self.blocks.pop_back_if(|(_, of, _)| *of == hash)?;
        Some(spends)
    }

    /// The chain continues elsewhere.
    pub(super) fn clear(&mut self) {
        self.blocks.clear();
    }

    /// The highest block whose spends are neither here nor in an index with the tip `index`; `None` if there is none.
    /// `tip` is that of detection, which has connected the blocks that are kept here: none after a start or a jump.
    pub(super) fn unknown_above(&self, index: u32, tip: u32) -> Option<u32> {
        let below = self.blocks.front().map_or(tip, |(first, ..)| first.saturating_sub(1));
        (index < below).then_some(below)
    }

    /// What spends this output, if a transaction in one of the blocks does.
    pub(super) fn spend_of(&self, outpoint: &OutPoint) -> Option<Spend> {
        self.blocks.iter().rev().find_map(|(_, _, spends)| spends.get(outpoint))
    }

    /// Whether one of the blocks has this transaction, and it spends an output.
    pub(super) fn has_tx(&self, txid: &Txid) -> bool {
        self.blocks.iter().any(|(_, _, spends)| spends.has_tx(txid))
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash as _;
    use sdk_relay_chain::BlockRef;
    use sdk_relay_scheduler::Facts;

    use super::*;

    fn connect(recent: &mut RecentSpends, height: u32, oldest_scan: Option<u32>) {
        let hash = hash(height);
        let mut spends = Spends::of_block(BlockRef { height, hash }, 1);
        let facts = Facts {
            txid: txid(height),
            fee: None,
            size: 1,
        };
        spends.add(facts, &[(output(height), 0)]);
        recent.connect(height, hash, spends, oldest_scan);
    }

    fn hash(height: u32) -> BlockHash {
        BlockHash::hash(&height.to_le_bytes())
    }

    fn txid(height: u32) -> Txid {
        Txid::hash(&height.to_le_bytes())
    }

    fn output(height: u32) -> OutPoint {
        OutPoint::new(Txid::all_zeros(), height)
    }

    #[test]
    fn the_newest_blocks_and_those_above_an_unfinished_scan_are_kept() {
        let mut recent = RecentSpends::default();
        let kept = |recent: &RecentSpends| {
            (0..100)
                .filter(|n| recent.spend_of(&output(*n)).is_some())
                .collect::<Vec<_>>()
        };
        for height in 0..40 {
            connect(&mut recent, height, None);
        }
        assert_eq!(kept(&recent), (24..40).collect::<Vec<_>>());
        for height in 40..80 {
            connect(&mut recent, height, Some(30));
        }
        assert_eq!(kept(&recent), (30..80).collect::<Vec<_>>());
        assert!(recent.disconnect(hash(78)).is_none(), "not the newest");
        assert!(
            recent
                .disconnect(hash(79))
                .is_some_and(|spends| spends.has_tx(&txid(79)))
        );
        assert!(!recent.has_tx(&txid(79)) && recent.has_tx(&txid(78)));
        connect(&mut recent, 79, None);
        assert_eq!(kept(&recent), (64..80).collect::<Vec<_>>());
        recent.clear();
        assert_eq!(kept(&recent), [0; 0]);
    }

    #[test]
    fn blocks_between_the_index_and_those_that_are_kept_are_named() {
        let mut recent = RecentSpends::default();
        let unknown = |recent: &RecentSpends, tip| [3, 8, 9, 10, 11].map(|index| recent.unknown_above(index, tip));
        // After a start or a jump to block 10 nothing is kept.
        assert_eq!(unknown(&recent, 10), [Some(10), Some(10), Some(10), None, None]);
        connect(&mut recent, 11, None);
        assert_eq!(unknown(&recent, 11), [Some(10), Some(10), Some(10), None, None]);
        for height in 12..=25 {
            connect(&mut recent, height, None);
        }
        assert_eq!(unknown(&recent, 25), [Some(10), Some(10), Some(10), None, None]);
        // The index is as far behind as a tip of the node that it has not asked for again.
        for height in 26..=40 {
            connect(&mut recent, height, None);
        }
        assert_eq!(unknown(&recent, 40), [Some(24); 5]);
        assert_eq!(recent.unknown_above(24, 40), None);
    }
}
