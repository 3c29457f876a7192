//! Problems of the index, for `/health`.

use std::collections::BTreeMap;
use std::time::Duration;

use sdk_relay_store::index::{Damage, Rebuild};

use crate::Index;
use crate::status::{IndexState, IndexStatus};

/// An index that lacks at most this many blocks counts as complete: it reaches the tip within moments.
pub const NEARLY: u32 = 6;
/// A shorter build is not reported: a fresh index of a test chain, the blocks of a short outage.
const MIN_REPORTED: Duration = Duration::from_secs(10);

impl Index {
    /// One sentence per problem. `node_is_well`: problems of the node, which stop the index from growing, are reported
    /// elsewhere.
    pub fn problems(&self, node_is_well: bool) -> Vec<String> {
        let status = self.status.borrow().clone();
        let lasts = status.since.elapsed() >= MIN_REPORTED;
        let missing = match self.store.rebuild() {
            Some(rebuild) => Some(rebuilding(&status, &rebuild)),
            None => unbuilt(&status, lasts, node_is_well),
        };
        missing.into_iter().chain(damaged(&self.store.damaged())).collect()
    }
}

/// A damaged database, which is reported however fast the index is rebuilt.
fn rebuilding(status: &IndexStatus, rebuild: &Rebuild) -> String {
    let set_aside = rebuild.set_aside.display();
    format!(
        "the database of the tweak index was damaged and moved to {set_aside}: the index is being rebuilt and {}; histories wait for it",
        standing(status)
    )
}

/// Progress of the index.
fn standing(status: &IndexStatus) -> String {
    let tip = status.tip.map(|tip| tip.height);
    let have = tip.map_or_else(|| "has no block yet".to_owned(), |tip| format!("is at block {tip}"));
    let of = status.target.map_or_else(String::new, |target| format!(" of {target}"));
    format!("{have}{of}")
}

/// Blocks between the index and the node's tip. Blocks below the first of the index are no problem: the node does not
/// have them. `lasts`: the index has been in this state for a while.
fn unbuilt(status: &IndexStatus, lasts: bool, node_is_well: bool) -> Option<String> {
    let (tip, target) = (status.tip.map(|t| t.height), status.target);
    let behind = || standing(status);
    match &status.state {
        IndexState::Failing(error) if node_is_well => {
            Some(format!("the tweak index {} and cannot continue: {error}", behind()))
        }
        IndexState::Building => {
            let next = tip.map_or(status.first, |tip| tip.saturating_add(1));
            let missing = target.map_or(0, |target| target.saturating_add(1).saturating_sub(next));
            let lacks_much = (missing > NEARLY && lasts) || status.node_is_syncing;
            lacks_much.then(|| format!("the tweak index is being built and {}: histories wait for it", behind()))
        }
        _ => None,
    }
}

fn damaged(blocks: &BTreeMap<u32, Damage>) -> Vec<String> {
    let named = |damage: Damage| {
        let mut heights = blocks.iter().filter(|(_, d)| **d == damage).map(|(height, _)| *height);
        let lowest = heights.next()?;
        Some(match heights.count() {
            0 => format!("block {lowest} of the tweak index is damaged"),
            more => format!(
                "{} blocks of the tweak index are damaged (the lowest is {lowest})",
                more + 1
            ),
        })
    };
    let waiting = named(Damage::Waiting).map(|what| format!("{what}: the relay fetches it again from the node"));
    let lost = named(Damage::Lost).map(|what| {
        format!("{what}, and cannot be restored from the node: histories omit it (the log of the relay has the reason)")
    });
    waiting.into_iter().chain(lost).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bitcoin::BlockHash;
    use bitcoin::hashes::Hash;
    use sdk_relay_chain::BlockRef;

    use super::*;

    fn status(state: IndexState, first: u32, tip: Option<u32>, target: u32) -> IndexStatus {
        IndexStatus {
            state,
            since: Instant::now(),
            start_height: 0,
            first,
            first_is_known: true,
            tip: tip.map(|height| BlockRef {
                height,
                hash: BlockHash::all_zeros(),
            }),
            target: Some(target),
            node_is_syncing: false,
        }
    }

    #[test]
    fn unbuilt_blocks_are_a_problem_and_pruned_blocks_are_not() {
        let building = |first, tip, target| unbuilt(&status(IndexState::Building, first, tip, target), true, true);
        assert!(building(0, Some(10), 870_000).unwrap().contains("block 10 of 870000"));
        assert!(building(0, None, 100).unwrap().contains("no block yet"));
        // The normal case: a new block.
        assert_eq!(building(0, Some(99), 100), None);
        assert_eq!(building(752, Some(851), 852), None);
        let fresh = status(IndexState::Building, 0, Some(0), 119);
        assert_eq!(unbuilt(&fresh, false, true), None, "a short build is not reported");
        let failing = status(IndexState::Failing("disk full".to_owned()), 0, Some(99), 100);
        assert!(unbuilt(&failing, false, true).unwrap().contains("disk full"));
        assert_eq!(
            unbuilt(&failing, true, false),
            None,
            "the node's problem is reported as such"
        );
        assert_eq!(
            unbuilt(&status(IndexState::Current, 752, Some(900), 900), true, true),
            None
        );
        let syncing = IndexStatus {
            node_is_syncing: true,
            ..status(IndexState::Building, 0, Some(0), 0)
        };
        assert!(unbuilt(&syncing, false, true).is_some());
    }

    #[test]
    fn damaged_blocks_are_counted_and_the_lowest_is_named() {
        let blocks = BTreeMap::from([(7, Damage::Waiting), (5, Damage::Lost), (9, Damage::Waiting)]);
        let messages = damaged(&blocks);
        assert!(
            messages[0].starts_with("2 blocks") && messages[0].contains("lowest is 7"),
            "{messages:?}"
        );
        assert!(
            messages[1].starts_with("block 5 ") && messages[1].contains("cannot be restored"),
            "{messages:?}"
        );
        assert!(damaged(&BTreeMap::new()).is_empty());
    }
}
