//! Whether an Oracle keeps up: which blocks it lacks of those that we have.

use std::time::Duration;

use sdk_relay_chain::BlockRef;
use tokio::time::Instant;

/// How long an Oracle that lacks a block is asked but once about that one and those above: waiting for each would slow
/// us.
const BEHIND_FOR: Duration = Duration::from_secs(30);
/// How long an Oracle may lack the newest block alone before it is called behind: it hears of a block when we do, and
/// takes a moment for it.
const SLOW_FOR: Duration = Duration::from_secs(30);

/// What it lacks.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// The newest block that we have.
    ours: Option<BlockRef>,
    lack: Option<Lack>,
}

#[derive(Clone, Copy, Debug)]
struct Lack {
    lowest: u32,
    newest: BlockRef,
    since: Instant,
    /// Until when it is taken for granted.
    until: Instant,
}

impl Behind {
    /// This block is in our index.
    pub(super) fn we_have(&mut self, at: BlockRef) {
        if self.ours.is_none_or(|ours| ours.height <= at.height) {
            self.ours = Some(at);
        }
    }

    /// It has a block at this height: then it has those that it lacked below, or another chain had them.
    pub(super) fn has(&mut self, height: u32) {
        if self.lack.is_some_and(|lack| lack.lowest <= height) {
            self.lack = None;
        }
    }

    /// It says that its newest block is at this height.
    pub(super) fn is_at(&mut self, height: u32) {
        if let Some(ours) = self.ours.filter(|ours| ours.height > height) {
            self.lacks_block(ours);
            if let Some(lack) = &mut self.lack {
                lack.lowest = lack.lowest.min(height.saturating_add(1));
            }
        }
    }

    /// It was asked for this block, and has not got it. Whether that is news: it lacked none before.
    pub(super) fn lacks_block(&mut self, at: BlockRef) -> bool {
        let (now, is_news) = (Instant::now(), self.lack.is_none());
        let known = self.lack.unwrap_or(Lack {
            lowest: at.height,
            newest: at,
            since: now,
            until: now,
        });
        self.lack = Some(Lack {
            lowest: known.lowest.min(at.height),
            newest: if known.newest.height <= at.height {
                at
            } else {
                known.newest
            },
            since: known.since,
            until: now + BEHIND_FOR,
        });
        is_news
    }

    /// Whether there is no use in waiting for a block at this height.
    pub(super) fn is_behind(&self, height: u32) -> bool {
        self.lack
            .is_some_and(|lack| height >= lack.lowest && Instant::now() < lack.until)
    }

    /// The newest block that it lacks.
    pub(super) fn newest_lacked(&self) -> Option<BlockRef> {
        self.lack.map(|lack| lack.newest)
    }

    /// What an operator is to know: that it lacks several blocks, or one for long.
    pub(super) fn lacks(&self) -> Option<String> {
        let Lack {
            lowest, newest, since, ..
        } = self.lack?;
        if newest.height > lowest {
            let newest = newest.height;
            return Some(format!("is behind: it lacks blocks {lowest} to {newest}"));
        }
        let is_slow = since.elapsed() >= SLOW_FOR;
        is_slow.then(|| {
            format!(
                "is behind, or on another chain: it lacks block {lowest} ({})",
                newest.hash
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::BlockHash;
    use bitcoin::hashes::Hash;
    use tokio::time::advance;

    use super::*;

    fn at(height: u32) -> BlockRef {
        BlockRef {
            height,
            hash: BlockHash::hash(&height.to_le_bytes()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn several_blocks_are_behind_at_once_and_one_after_a_while() {
        let mut behind = Behind::default();
        behind.lacks_block(at(10));
        assert!(behind.is_behind(10) && behind.is_behind(11) && !behind.is_behind(9));
        assert_eq!(behind.lacks(), None, "a moment is allowed");
        behind.lacks_block(at(13));
        assert!(behind.lacks().is_some_and(|what| what.contains("10 to 13")));
        behind.has(9);
        assert_eq!(behind.newest_lacked(), Some(at(13)), "an older block says nothing");
        behind.has(13);
        assert!(behind.lacks().is_none() && !behind.is_behind(14));

        behind.lacks_block(at(14));
        advance(SLOW_FOR).await;
        let told = behind.lacks().unwrap();
        assert!(
            told.contains("block 14") && told.contains(&at(14).hash.to_string()),
            "{told}"
        );
        assert!(!behind.is_behind(14), "it is asked properly again");
    }

    #[tokio::test(start_paused = true)]
    async fn its_own_word_says_that_it_is_behind_and_never_that_it_is_not() {
        let mut behind = Behind::default();
        behind.is_at(3);
        behind.we_have(at(7));
        behind.we_have(at(6));
        behind.is_at(3);
        assert!(behind.lacks().is_some_and(|what| what.contains("4 to 7")));
        behind.is_at(7);
        assert!(behind.lacks().is_some());
        behind.has(7);
        behind.is_at(7);
        assert!(behind.lacks().is_none());
    }
}
