//! The end of a history, compared with the chain.

use proptest::prelude::*;
use sdk_relay_backfill::HistoryEnd;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_history_ends_with_the_highest_block_that_has_stayed(
        blocks in 0..8u32,
        changes in prop::collection::vec(any::<bool>(), 0..30),
    ) {
        let then: Vec<u32> = (0..blocks).collect();
        let (mut chain, mut end) = (then.clone(), HistoryEnd::default());
        for (id, connects) in (blocks..).zip(changes) {
            if connects {
                end.connected(chain.len() as u32);
                chain.push(id);
            } else if chain.pop().is_some() {
                end.disconnected(chain.len() as u32);
            }
        }
        let common = then.iter().zip(&chain).take_while(|(then, now)| then == now).count() as u32;
        prop_assert_eq!(end.last((chain.len() as u32).checked_sub(1)), common.checked_sub(1));
    }
}

#[test]
fn the_highest_height_is_accepted() {
    assert_eq!(HistoryEnd::default().last(Some(u32::MAX)), Some(u32::MAX));
    let mut end = HistoryEnd::default();
    end.disconnected(u32::MAX);
    assert_eq!(end.last(Some(u32::MAX - 1)), Some(u32::MAX - 1));
}
