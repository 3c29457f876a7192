//! Tracks which blocks of the index an Oracle lacks.

use std::time::Duration;

use sdk_relay_chain::BlockRef;
use tokio::time::Instant;

/// For this time after an Oracle lacked a block, it is requested only once per block at or above that height: retries
/// for each would slow down the build.
const BEHIND_FOR: Duration = Duration::from_secs(30);
/// How long an Oracle may lack only the newest block before it is reported as behind: it learns of a block at the same
/// time as the relay, and needs time to process it.
const SLOW_FOR: Duration = Duration::from_secs(30);

/// The lacked blocks.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// The newest block of our index.
    ours: Option<BlockRef>,
    lack: Option<Lack>,
}

#[derive(Clone, Copy, Debug)]
struct Lack {
    lowest: u32,
    newest: BlockRef,
    since: Instant,
    /// Until when it is assumed to be lacked.
    until: Instant,
}

impl Behind {
    /// This block is in our index.
    pub(super) fn we_have(&mut self, at: BlockRef) {
        if self.ours.is_none_or(|ours| ours.height <= at.height) {
            self.ours = Some(at);
        }
    }

    /// Records that it has a block at this height: earlier lacked blocks are resolved, or were of another chain.
    pub(super) fn has(&mut self, height: u32) {
        if self.lack.is_some_and(|lack| lack.lowest <= height) {
            self.lack = None;
        }
    }

    /// Records the height that it reports as its newest.
    pub(super) fn is_at(&mut self, height: u32) {
        if let Some(ours) = self.ours.filter(|ours| ours.height > height) {
            self.lacks_block(ours);
            if let Some(lack) = &mut self.lack {
                lack.lowest = lack.lowest.min(height.saturating_add(1));
            }
        }
    }

    /// Records that it lacks this block. Returns whether it lacked none before.
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

    /// Whether waiting for a block at this height is pointless.
    pub(super) fn is_behind(&self, height: u32) -> bool {
        self.lack
            .is_some_and(|lack| height >= lack.lowest && Instant::now() < lack.until)
    }

    /// The newest block that it lacks.
    pub(super) fn newest_lacked(&self) -> Option<BlockRef> {
        self.lack.map(|lack| lack.newest)
    }

    /// A problem for the operator: it lacks several blocks, or one for a long time.
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
        assert_eq!(behind.lacks(), None, "a short delay is allowed");
        behind.lacks_block(at(13));
        assert!(behind.lacks().is_some_and(|what| what.contains("10 to 13")));
        behind.has(9);
        assert_eq!(behind.newest_lacked(), Some(at(13)), "an older block is no evidence");
        behind.has(13);
        assert!(behind.lacks().is_none() && !behind.is_behind(14));

        behind.lacks_block(at(14));
        advance(SLOW_FOR).await;
        let problem = behind.lacks().unwrap();
        assert!(
            problem.contains("block 14") && problem.contains(&at(14).hash.to_string()),
            "{problem}"
        );
        assert!(!behind.is_behind(14), "it is requested with retries again");
    }

    #[tokio::test(start_paused = true)]
    async fn its_reported_height_shows_that_it_is_behind_but_never_that_it_is_not() {
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
