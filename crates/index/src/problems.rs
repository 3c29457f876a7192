//! What is wrong with the index, for `/health`.

use std::collections::BTreeMap;
use std::time::Duration;

use sdk_relay_store::index::{Damage, Rebuild};

use crate::Index;
use crate::status::{IndexState, IndexStatus};

/// An index that lacks so many blocks at most is taken for whole: it follows the tip within moments.
pub const NEARLY: u32 = 6;
/// A build that takes less is over before anybody has to know: a fresh index of a test chain, the blocks of a short
/// outage.
const WORTH_SAYING: Duration = Duration::from_secs(10);

impl Index {
    /// A sentence for each. `node_is_well`: what is wrong with the node is said elsewhere, and keeps the index from
    /// growing.
    pub fn problems(&self, node_is_well: bool) -> Vec<String> {
        let status = self.status.borrow().clone();
        let lasts = status.since.elapsed() >= WORTH_SAYING;
        let missing = match self.store.rebuild() {
            Some(rebuild) => Some(rebuilding(&status, &rebuild)),
            None => unbuilt(&status, lasts, node_is_well),
        };
        missing.into_iter().chain(damaged(&self.store.damaged())).collect()
    }
}

/// The database was damaged, which is worth saying however fast another one is built.
fn rebuilding(status: &IndexStatus, rebuild: &Rebuild) -> String {
    let set_aside = rebuild.set_aside.display();
    format!(
        "the tweak index's database was damaged and is set aside as {set_aside}: the index is built anew and {}; histories wait for it",
        standing(status)
    )
}

/// How far the index is.
fn standing(status: &IndexStatus) -> String {
    let tip = status.tip.map(|tip| tip.height);
    let have = tip.map_or_else(|| "has no block yet".to_owned(), |tip| format!("is at block {tip}"));
    let of = status.target.map_or_else(String::new, |target| format!(" of {target}"));
    format!("{have}{of}")
}

/// Blocks between the index and the node's tip. What lies below the index's first block is no problem: nobody can have
/// it. `lasts`: the index is in this state for longer than a moment.
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
        format!("{what}, and cannot be restored from the node: histories leave it out (the log of the relay says why)")
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
    fn unbuilt_blocks_are_a_problem_and_what_cannot_be_had_is_none() {
        let building = |first, tip, target| unbuilt(&status(IndexState::Building, first, tip, target), true, true);
        assert!(building(0, Some(10), 870_000).unwrap().contains("block 10 of 870000"));
        assert!(building(0, None, 100).unwrap().contains("no block yet"));
        // Everyday life: a new block.
        assert_eq!(building(0, Some(99), 100), None);
        assert_eq!(building(752, Some(851), 852), None);
        let fresh = status(IndexState::Building, 0, Some(0), 119);
        assert_eq!(unbuilt(&fresh, false, true), None, "over in a moment");
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
        let told = damaged(&blocks);
        assert!(
            told[0].starts_with("2 blocks") && told[0].contains("lowest is 7"),
            "{told:?}"
        );
        assert!(
            told[1].starts_with("block 5 ") && told[1].contains("cannot be restored"),
            "{told:?}"
        );
        assert!(damaged(&BTreeMap::new()).is_empty());
    }
}
