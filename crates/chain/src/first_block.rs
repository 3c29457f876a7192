//! The block at which a scan for payments since a time has to begin.

use crate::event::BlockRef;
use crate::source::{ChainSource, SourceError};

/// A miner's clock may be this much behind: the time of a block, in seconds. (Ahead, consensus allows two hours.)
const CLOCK: u64 = 2 * 3600;
/// Blocks of the median time (BIP113).
const MEDIAN_OF: u32 = 11;

/// The first block that has to be scanned for payments since this time (Unix seconds): no block before it was mined
/// later. It may be some hours older than the time. The tip, if all blocks are older.
///
/// The times of blocks do not increase from block to block, but the median of 11 does (BIP113), and can be bisected:
/// some 20 requests of two calls each on mainnet.
///
/// Why no payment is missed: let M be the first block with a median time of at least `since` less two hours. The block
/// before M has an older one, so at least 6 of the 11 blocks up to that have an older time, and the last of those 6 was
/// mined before `since`, unless the clock of its miner was more than two hours behind. It is at most 6 blocks before
/// M, and 11 are scanned.
pub async fn first_block_since(source: &dyn ChainSource, since: u64) -> Result<BlockRef, SourceError> {
    let tip = source.tip().await?;
    let late = since.saturating_sub(CLOCK);
    let mut search = Search::below(tip.height.saturating_add(1));
    while let Some(height) = search.next() {
        let is_late = match source.hash_at(height).await? {
            Some(hash) => source.median_time(hash).await? >= late,
            // A reorganisation has shortened the chain.
            None => true,
        };
        search.answer(is_late);
    }
    let height = search.found().saturating_sub(MEDIAN_OF).min(tip.height);
    match source.hash_at(height).await? {
        Some(hash) => Ok(BlockRef { height, hash }),
        None => Ok(tip),
    }
}

/// Bisection: the first height that is late, where all later ones are late as well.
#[derive(Debug)]
struct Search {
    /// Heights below are not late.
    low: u32,
    /// This height and all above are late.
    high: u32,
}

impl Search {
    /// `end` counts as late.
    fn below(end: u32) -> Self {
        Self { low: 0, high: end }
    }

    /// The next height to look at.
    fn next(&self) -> Option<u32> {
        (self.low < self.high).then(|| self.low + (self.high - self.low) / 2)
    }

    fn answer(&mut self, is_late: bool) {
        let middle = self.low + (self.high - self.low) / 2;
        if is_late {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
    }

    fn found(&self) -> u32 {
        self.high
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The height that the search finds in a chain of these times, and the number of looks.
    fn found(times: &[u64], since: u64) -> (u32, u32) {
        let median = |height: usize| {
            let first = (height + 1).saturating_sub(MEDIAN_OF as usize);
            let mut times = times[first..=height].to_vec();
            times.sort_unstable();
            times[times.len() / 2]
        };
        let mut search = Search::below(times.len() as u32);
        let mut looks = 0;
        while let Some(height) = search.next() {
            looks += 1;
            search.answer(median(height as usize) >= since.saturating_sub(CLOCK));
        }
        (search.found().saturating_sub(MEDIAN_OF), looks)
    }

    #[test]
    fn a_date_before_or_after_all_blocks() {
        let times: Vec<u64> = (0..1000).map(|n| 1_700_000_000 + n * 600).collect();
        assert_eq!(found(&times, 0).0, 0);
        assert_eq!(found(&times, 1_600_000_000).0, 0);
        assert_eq!(found(&times, 1_800_000_000).0, 1000 - MEDIAN_OF);
        assert_eq!(found(&[], 5), (0, 0));
        let (height, looks) = found(&times, 1_700_000_000 + 500 * 600);
        // Two hours, the 5 blocks by which the median lags, and the 11.
        assert_eq!((height, looks <= 10), (500 - 12 + 5 - 11, true));
    }

    proptest! {
        /// Blocks at any distance, whose miners' clocks are up to two hours behind or ahead: none that was mined at
        /// the time or later is below the found height.
        #[test]
        fn no_block_since_the_time_is_missed(
            gaps in proptest::collection::vec((0u64..20_000, 0u64..14_400), 1..200),
            at in 0usize..200,
        ) {
            let mut now = 1_700_000_000;
            let mut mined = Vec::new();
            let mut times: Vec<u64> = Vec::new();
            for (gap, clock) in gaps {
                now += gap;
                mined.push(now);
                // Consensus: above the median of the 11 before.
                let first = times.len().saturating_sub(11);
                let mut last = times[first..].to_vec();
                last.sort_unstable();
                let least = last.get(last.len() / 2).map_or(0, |median| median + 1);
                times.push((now + clock - CLOCK).max(least));
            }
            let since = mined[at % mined.len()];
            let (height, _) = found(&times, since);
            let first = mined.iter().position(|mined| *mined >= since).unwrap();
            prop_assert!(height as usize <= first, "{height} {first}");
        }
    }
}
