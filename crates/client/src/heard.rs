//! The chain as the app was told it. Every relay numbers its own events: at another relay the blocks say what is known already.

use std::collections::VecDeque;

use sdk_relay_protocol::{BlockDisconnected, Event};

use crate::builder::now;

/// Blocks that are remembered, as many as a handshake may name. A relay that is further behind, or on a branch that is longer, is a gap.
const KEPT: usize = 32;

/// The newest blocks that the app was told of, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    blocks: VecDeque<(u32, String)>,
    tweaks: VecDeque<String>,
    tip: Option<u32>,
}

/// What is to be done with an event.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Hand it over, behind the blocks that it takes back without saying so: another relay never had them.
    New(Vec<BlockDisconnected>),
    /// Drop it: another relay has told it.
    Known,
}

impl Heard {
    /// Looks at an event, and remembers it.
    pub(crate) fn look(&mut self, event: &Event) -> Verdict {
        match event {
            Event::BlockMined(block) => {
                if self.has(&block.block_hash) {
                    return Verdict::Known;
                }
                let gone = self.take_back(|height, _| height >= block.block_height);
                remember(&mut self.blocks, (block.block_height, block.block_hash.clone()));
                self.tip = Some(block.block_height);
                Verdict::New(gone)
            }
            Event::BlockDisconnected(block) => {
                let gone = self.take_back(|height, _| height > block.block_height);
                self.take_back(|_, hash| hash == block.block_hash);
                self.tip = block.block_height.checked_sub(1);
                Verdict::New(gone)
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

    /// What follows has no connection with what was told. How far that went is still known.
    pub(crate) fn forget(&mut self) {
        self.blocks.clear();
        self.tweaks.clear();
    }

    /// Height of the last block that the app was told of.
    pub(crate) fn tip(&self) -> Option<u32> {
        self.tip
    }

    /// The newest first.
    pub(crate) fn hashes(&self) -> Vec<String> {
        self.blocks.iter().rev().map(|(_, hash)| hash.clone()).collect()
    }

    fn has(&self, hash: &str) -> bool {
        self.blocks.iter().any(|(_, h)| h == hash)
    }

    /// Takes blocks from the top for as long as they are meant.
    fn take_back(&mut self, meant: impl Fn(u32, &str) -> bool) -> Vec<BlockDisconnected> {
        let mut gone = Vec::new();
        while let Some((height, hash)) = self.blocks.pop_back_if(|(height, hash)| meant(*height, hash)) {
            self.tweaks.retain(|h| *h != hash);
            gone.push(BlockDisconnected {
                block_height: height,
                previous_block_hash: self.blocks.back().map(|(_, h)| h.clone()).unwrap_or_default(),
                block_hash: hash,
                timestamp: now().unwrap_or(0),
            });
        }
        gone
    }
}

fn remember<T>(kept: &mut VecDeque<T>, new: T) {
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(new);
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

    fn gone(verdict: Verdict) -> Vec<(u32, String, String)> {
        let Verdict::New(gone) = verdict else { panic!("known") };
        let short = |b: BlockDisconnected| (b.block_height, b.block_hash, b.previous_block_hash);
        gone.into_iter().map(short).collect()
    }

    #[test]
    fn another_relay_that_is_behind_repeats_nothing() {
        let mut heard = Heard::default();
        for (height, hash) in [(1, "a"), (2, "b"), (3, "c")] {
            assert_eq!(heard.look(&mined(height, hash)), Verdict::New(vec![]));
            assert_eq!(heard.look(&tweaks(height, hash)), Verdict::New(vec![]));
        }
        assert_eq!(heard.hashes(), ["c", "b", "a"]);
        // It knew block b.
        assert_eq!(heard.look(&mined(3, "c")), Verdict::Known);
        assert_eq!(heard.look(&tweaks(3, "c")), Verdict::Known);
        assert_eq!(heard.tip(), Some(3), "what is told again is no step back");
        assert_eq!(heard.look(&mined(4, "d")), Verdict::New(vec![]));
        heard.forget();
        assert_eq!((heard.hashes().len(), heard.tip()), (0, Some(4)));
    }

    #[test]
    fn blocks_that_another_relay_never_had_are_taken_back() {
        let mut heard = Heard::default();
        for (height, hash) in [(1, "a"), (2, "b"), (3, "c")] {
            heard.look(&mined(height, hash));
        }
        let taken = gone(heard.look(&mined(2, "B")));
        assert_eq!(taken, [(3, "c".into(), "b".into()), (2, "b".into(), "a".into())]);
        assert_eq!(heard.hashes(), ["B", "a"]);

        heard.look(&mined(3, "C"));
        let a = Event::BlockDisconnected(BlockDisconnected {
            block_height: 2,
            block_hash: "B".into(),
            previous_block_hash: "a".into(),
            timestamp: 1,
        });
        assert_eq!(gone(heard.look(&a)), [(3, "C".into(), "B".into())]);
        assert_eq!(heard.hashes(), ["a"]);
    }

    #[test]
    fn a_block_that_comes_back_is_told_again() {
        let mut heard = Heard::default();
        heard.look(&mined(1, "a"));
        heard.look(&tweaks(1, "a"));
        let left = BlockDisconnected {
            block_height: 1,
            block_hash: "a".into(),
            previous_block_hash: String::new(),
            timestamp: 1,
        };
        assert!(gone(heard.look(&Event::BlockDisconnected(left))).is_empty());
        assert_eq!(heard.look(&mined(1, "a")), Verdict::New(vec![]));
        assert_eq!(heard.look(&tweaks(1, "a")), Verdict::New(vec![]));
    }

    #[test]
    fn no_more_is_kept_than_a_handshake_may_name() {
        let mut heard = Heard::default();
        for height in 0..100 {
            heard.look(&mined(height, &height.to_string()));
        }
        assert_eq!(heard.hashes().len(), KEPT);
        assert_eq!(heard.hashes()[0], "99");
    }
}
