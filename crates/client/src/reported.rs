//! The newest blocks that were reported to the app. Each relay numbers its own events, so after a failover the client
//! recognises by block hashes what the app already has.

use std::collections::VecDeque;

use sdk_relay_protocol::{BlockDisconnected, Event};

use crate::builder::now;

/// Number of blocks that are kept, the maximum of `resume_after`. A relay that is further behind, or on a longer
/// branch, causes a gap.
const MAX_BLOCKS: usize = 32;

/// The newest reported blocks, oldest first.
#[derive(Debug, Default)]
pub(crate) struct ReportedBlocks {
    blocks: VecDeque<(u32, String)>,
    tweaks: VecDeque<String>,
    tip: Option<u32>,
}

/// What to do with an event.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Forward it to the app, after disconnecting these blocks, which the other relay never had.
    New(Vec<BlockDisconnected>),
    /// Drop it: another relay has already reported it.
    Known,
}

impl ReportedBlocks {
    /// Decides what to do with an event, and records its block.
    pub(crate) fn observe(&mut self, event: &Event) -> Verdict {
        match event {
            Event::BlockMined(block) => {
                if self.has(&block.block_hash) {
                    return Verdict::Known;
                }
                let disconnected = self.disconnect_while(|height, _| height >= block.block_height);
                remember(&mut self.blocks, (block.block_height, block.block_hash.clone()));
                self.tip = Some(block.block_height);
                Verdict::New(disconnected)
            }
            Event::BlockDisconnected(block) => {
                let disconnected = self.disconnect_while(|height, _| height > block.block_height);
                self.disconnect_while(|_, hash| hash == block.block_hash);
                self.tip = block.block_height.checked_sub(1);
                Verdict::New(disconnected)
            }
            Event::Tweaks(tweaks) if !tweaks.historical => {
                if self.tweaks.contains(&tweaks.block_hash) {
                    return Verdict::Known;
                }
                remember(&mut self.tweaks, tweaks.block_hash.clone());
                Verdict::New(Vec::new())
            }
            _ => Verdict::New(Vec::new()),
        }
    }

    /// Forgets the blocks after a gap. The height of the tip is kept.
    pub(crate) fn clear(&mut self) {
        self.blocks.clear();
        self.tweaks.clear();
    }

    /// Height of the last reported block.
    pub(crate) fn tip(&self) -> Option<u32> {
        self.tip
    }

    /// Hashes of the blocks, newest first.
    pub(crate) fn hashes(&self) -> Vec<String> {
        self.blocks.iter().rev().map(|(_, hash)| hash.clone()).collect()
    }

    fn has(&self, hash: &str) -> bool {
        self.blocks.iter().any(|(_, h)| h == hash)
    }

    /// Removes blocks from the tip while the predicate holds.
    fn disconnect_while(&mut self, is_disconnected: impl Fn(u32, &str) -> bool) -> Vec<BlockDisconnected> {
        let mut disconnected = Vec::new();
        while let Some((height, hash)) = self.blocks.pop_back_if(|(height, hash)| is_disconnected(*height, hash)) {
            self.tweaks.retain(|h| *h != hash);
            disconnected.push(BlockDisconnected {
                block_height: height,
                previous_block_hash: self.blocks.back().map(|(_, h)| h.clone()).unwrap_or_default(),
                block_hash: hash,
                timestamp: now().unwrap_or(0),
            });
        }
        disconnected
    }
}

fn remember<T>(queue: &mut VecDeque<T>, new: T) {
    if queue.len() == MAX_BLOCKS {
        queue.pop_front();
    }
    queue.push_back(new);
}

#[cfg(test)]
mod tests {
    use sdk_relay_protocol::{BlockMined, Tweaks};

    use super::*;

    fn mined(block_height: u32, hash: &str) -> Event {
        Event::BlockMined(BlockMined {
            block_height,
            block_hash: hash.into(),
            transactions: 1,
            size: 1,
            timestamp: 1,
            difficulty: 1.0,
            merkle_root: String::new(),
        })
    }

    fn tweaks(block_height: u32, hash: &str) -> Event {
        Event::Tweaks(Tweaks {
            block_height,
            block_hash: hash.into(),
            transactions: Vec::new(),
            part: 1,
            parts: 1,
            historical: false,
        })
    }

    fn disconnected(verdict: Verdict) -> Vec<(u32, String, String)> {
        let Verdict::New(disconnected) = verdict else {
            panic!("known")
        };
        let short = |b: BlockDisconnected| (b.block_height, b.block_hash, b.previous_block_hash);
        disconnected.into_iter().map(short).collect()
    }

    #[test]
    fn blocks_of_a_relay_that_is_behind_are_not_repeated() {
        let mut reported = ReportedBlocks::default();
        for (height, hash) in [(1, "a"), (2, "b"), (3, "c")] {
            assert_eq!(reported.observe(&mined(height, hash)), Verdict::New(vec![]));
            assert_eq!(reported.observe(&tweaks(height, hash)), Verdict::New(vec![]));
        }
        assert_eq!(reported.hashes(), ["c", "b", "a"]);
        // The other relay resumed after block b.
        assert_eq!(reported.observe(&mined(3, "c")), Verdict::Known);
        assert_eq!(reported.observe(&tweaks(3, "c")), Verdict::Known);
        assert_eq!(
            reported.tip(),
            Some(3),
            "a block that is reported again does not lower the tip"
        );
        assert_eq!(reported.observe(&mined(4, "d")), Verdict::New(vec![]));
        reported.clear();
        assert_eq!((reported.hashes().len(), reported.tip()), (0, Some(4)));
    }

    #[test]
    fn blocks_that_another_relay_never_had_are_disconnected() {
        let mut reported = ReportedBlocks::default();
        for (height, hash) in [(1, "a"), (2, "b"), (3, "c")] {
            reported.observe(&mined(height, hash));
        }
        let reverted = disconnected(reported.observe(&mined(2, "B")));
        assert_eq!(reverted, [(3, "c".into(), "b".into()), (2, "b".into(), "a".into())]);
        assert_eq!(reported.hashes(), ["B", "a"]);

        reported.observe(&mined(3, "C"));
        let a = Event::BlockDisconnected(BlockDisconnected {
            block_height: 2,
            block_hash: "B".into(),
            previous_block_hash: "a".into(),
            timestamp: 1,
        });
        assert_eq!(disconnected(reported.observe(&a)), [(3, "C".into(), "B".into())]);
        assert_eq!(reported.hashes(), ["a"]);
    }

    #[test]
    fn a_block_that_returns_is_reported_again() {
        let mut reported = ReportedBlocks::default();
        reported.observe(&mined(1, "a"));
        reported.observe(&tweaks(1, "a"));
        let left = BlockDisconnected {
            block_height: 1,
            block_hash: "a".into(),
            previous_block_hash: String::new(),
            timestamp: 1,
        };
        assert!(disconnected(reported.observe(&Event::BlockDisconnected(left))).is_empty());
        assert_eq!(reported.observe(&mined(1, "a")), Verdict::New(vec![]));
        assert_eq!(reported.observe(&tweaks(1, "a")), Verdict::New(vec![]));
    }

    #[test]
    fn at_most_as_many_blocks_are_kept_as_a_handshake_may_have() {
        let mut reported = ReportedBlocks::default();
        for height in 0..100 {
            reported.observe(&mined(height, &height.to_string()));
        }
        assert_eq!(reported.hashes().len(), MAX_BLOCKS);
        assert_eq!(reported.hashes()[0], "99");
    }
}
