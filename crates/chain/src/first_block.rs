//! The block at which a scan for payments since a time has to begin.

use std::collections::BTreeMap;

use crate::event::BlockRef;
use crate::source::{ChainSource, SourceError};

/// A miner's clock may be this much behind: the time of a block, in seconds. (Ahead, consensus allows two hours.)
const CLOCK: u64 = 2 * 3600;
/// Blocks of the median time (BIP113).
const MEDIAN_OF: u32 = 11;
/// Blocks below the tip from which on a median time is kept: a reorganisation does not change it any more.
const FINAL: u32 = 2016;
/// Median times that are kept: 128 KB at most, and a search among a million blocks then asks for some ten.
const KEPT: usize = 4096;

/// Finds the block at which a scan for payments since a time has to begin. What it learns from the source shortens
/// later searches.
#[derive(Debug, Default)]
pub struct FirstBlockSearch {
    /// Median times by height.
    known: BTreeMap<u32, u64>,
}

impl FirstBlockSearch {
    /// The first block that has to be scanned for payments since this time (Unix seconds): no block before it was mined
    /// later. It may be some hours older than the time. The tip, if all blocks are older.
    ///
    /// The times of blocks do not increase from block to block, but the median of 11 does (BIP113), and can be
    /// bisected: some 20 requests of two calls each on mainnet, and about half of that after a few searches.
    ///
    /// Why no payment is missed: let M be the first block with a median time of at least `since` less two hours. The
    /// block before M has an older one, so at least 6 of the 11 blocks up to that have an older time, and the last of
    /// those 6 was mined before `since`, unless the clock of its miner was more than two hours behind. It is at most 6
    /// blocks before M, and 11 are scanned.
    ///
    /// # Errors
    /// The source does not answer.
    pub async fn first_block_since(&mut self, source: &dyn ChainSource, since: u64) -> Result<BlockRef, SourceError> {
        let tip = source.tip().await?;
        let late = since.saturating_sub(CLOCK);
        let mut search = self.search(tip.height.saturating_add(1), late);
        while let Some(height) = search.next() {
            let is_late = match source.hash_at(height).await? {
                Some(hash) => {
                    let median = source.median_time(hash).await?;
                    self.keep(height, median, tip.height);
                    median >= late
                }
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

    /// A search below `end`, between the known heights that are next to the time.
    fn search(&self, end: u32, late: u64) -> Search {
        let mut search = Search::below(end);
        for (height, median) in &self.known {
            if *median >= late {
                search.high = search.high.min(*height);
                break;
            }
            search.low = height.saturating_add(1).min(search.high);
        }
        search
    }

    fn keep(&mut self, height: u32, median: u64, tip: u32) {
        if height.saturating_add(FINAL) <= tip && self.known.len() < KEPT {
            self.known.insert(height, median);
        }
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

    /// The height that a first search finds in a chain of these times, and the number of looks.
    fn found(times: &[u64], since: u64) -> (u32, u32) {
        again(&mut FirstBlockSearch::default(), times, since)
    }

    /// The same for one that knows the results of earlier ones.
    fn again(known: &mut FirstBlockSearch, times: &[u64], since: u64) -> (u32, u32) {
        let median = |height: usize| {
            let first = (height + 1).saturating_sub(MEDIAN_OF as usize);
            let mut times = times[first..=height].to_vec();
            times.sort_unstable();
            times[times.len() / 2]
        };
        let late = since.saturating_sub(CLOCK);
        let mut search = known.search(times.len() as u32, late);
        let mut looks = 0;
        while let Some(height) = search.next() {
            looks += 1;
            known.keep(height, median(height as usize), times.len() as u32);
            search.answer(median(height as usize) >= late);
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

    #[test]
    fn a_search_begins_with_what_is_known() {
        let times: Vec<u64> = (0..20_000).map(|n| 1_700_000_000 + n * 600).collect();
        let mut known = FirstBlockSearch::default();
        let since = |block: u64| 1_700_000_000 + block * 600;
        let (height, looks) = again(&mut known, &times, since(5_000));
        assert!(looks >= 14);
        assert_eq!(again(&mut known, &times, since(5_000)), (height, 0));
        let (_, looks) = again(&mut known, &times, since(4_950));
        assert!(looks <= 8, "{looks}");
        // Blocks that a reorganisation can replace are asked for again.
        let (_, first) = again(&mut known, &times, since(19_900));
        let (_, second) = again(&mut known, &times, since(19_900));
        assert!(first > second && second >= 10, "{first} {second}");
        for block in 0..20_000 {
            again(&mut known, &times, since(block));
        }
        assert_eq!(known.known.len(), KEPT);
    }

    proptest! {
        /// What earlier searches learned changes no result.
        #[test]
        fn the_same_is_found_whatever_is_known(
            gaps in proptest::collection::vec(0u64..2_000, 2_100..2_300),
            since in proptest::collection::vec(0u64..3_000_000, 1..20),
        ) {
            let mut now = 1_700_000_000;
            let times: Vec<u64> = gaps.iter().map(|gap| { now += gap; now }).collect();
            let mut known = FirstBlockSearch::default();
            for since in since {
                let since = 1_700_000_000 + since;
                prop_assert_eq!(again(&mut known, &times, since).0, found(&times, since).0);
            }
        }

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
