//! Blocks that cannot be read from the index, temporarily or permanently.

use std::collections::BTreeMap;

use sdk_relay_protocol::{MissingBlocks, MissingReason};
use sdk_relay_store::index::Damage;

use crate::Index;

impl Index {
    /// Whether the block at this height can be read now. A damaged block can be read once it is restored, one above the
    /// tip once it is built.
    pub fn can_read(&self, height: u32) -> bool {
        let tip = self.status.borrow().tip;
        tip.is_some_and(|tip| height <= tip.height) && self.store.damage_at(height).is_none()
    }

    /// The blocks from this height that are permanently missing: below the first of the index, or damaged and not
    /// restorable. `None` if this one is available, or may become so.
    pub fn missing_from(&self, height: u32) -> Option<MissingBlocks> {
        let below = {
            let status = self.status.borrow();
            let below = status.first_is_known.then(|| status.missing_below(height));
            below.and_then(|ranges| ranges.into_iter().next())
        };
        below.or_else(|| lost_from(&self.store.damaged(), height))
    }
}

fn lost_from(damaged: &BTreeMap<u32, Damage>, from: u32) -> Option<MissingBlocks> {
    let heights = damaged.range(from..).zip(from..);
    let lost = heights.take_while(|((height, damage), expected)| *height == expected && **damage == Damage::Lost);
    let (_, to) = lost.last()?;
    Some(MissingBlocks {
        from,
        to,
        reason: MissingReason::Damaged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjacent_blocks_that_cannot_be_restored_are_one_range() {
        let damaged = [
            (4, Damage::Lost),
            (5, Damage::Lost),
            (6, Damage::Waiting),
            (7, Damage::Lost),
            (9, Damage::Lost),
        ];
        let damaged = BTreeMap::from(damaged);
        let to = |from| lost_from(&damaged, from).map(|range| range.to);
        let expected = [None, Some(5), Some(5), None, Some(7), None, Some(9), None];
        assert_eq!([3, 4, 5, 6, 7, 8, 9, 10].map(to), expected);
    }
}
