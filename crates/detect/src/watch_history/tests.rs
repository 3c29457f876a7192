use std::time::Instant;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use sdk_relay_chain::BlockRef;
use sdk_relay_index::IndexState;

use super::*;

/// An index of the blocks from `first` to `tip`, configured to start at 5.
fn index(first: u32, tip: u32) -> IndexStatus {
    let at = BlockRef {
        height: tip,
        hash: BlockHash::all_zeros(),
    };
    IndexStatus {
        state: IndexState::Current,
        since: Instant::now(),
        start_height: 5,
        first,
        first_is_known: true,
        tip: Some(at),
        target: Some(tip),
        node_is_syncing: false,
    }
}

fn missing(from: u32, to: u32, reason: MissingReason) -> MissingBlocks {
    MissingBlocks { from, to, reason }
}

#[test]
fn live_notifications_wait_for_an_index_that_is_nearly_complete() {
    let message = || QueuedMessage::of("1".to_owned());
    for (tip, sent) in [(99, 0), (99 - NEARLY, 0), (98 - NEARLY, 1)] {
        let mut history = requested(Heights { from: 0, to: None });
        settle(&mut history, 99, &index(0, tip));
        assert_eq!(history.live(message(), true).len(), sent, "an index up to {tip}");
    }
}

#[test]
fn a_request_without_a_tip_waits() {
    let mut history = requested(Heights { from: 10, to: Some(30) });
    let answer = plan(&history, None, &index(12, 40));
    assert_eq!((answer.state, answer.start_height), (HistoryState::Waiting, Some(12)));
    assert_eq!(answer.missing, [missing(10, 11, MissingReason::Pruned)]);
    let unknown = IndexStatus {
        first_is_known: false,
        tip: None,
        ..index(0, 0)
    };
    assert_eq!(
        plan(&history, None, &unknown),
        HistoryPlan {
            state: HistoryState::Waiting,
            start_height: None,
            missing: Vec::new()
        }
    );
    assert!(settle(&mut history, 100, &index(12, 40)) && !settle(&mut history, 200, &index(12, 40)));
    assert_eq!(history.next(), NextRange::Scan { from: 12, to: 30 });
    assert_eq!(plan(&history, Some(100), &index(12, 40)).state, HistoryState::Scanning);
}

#[test]
fn blocks_below_the_index_are_missing() {
    let mut history = requested(Heights { from: 0, to: None });
    settle(&mut history, 851, &index(752, 851));
    let expected = [
        missing(0, 4, MissingReason::BelowStartHeight),
        missing(5, 751, MissingReason::Pruned),
    ];
    let first = history.progress(851).unwrap();
    assert_eq!(
        (first.share, first.height, &first.missing[..]),
        (0.0, 751, &expected[..])
    );
}

#[test]
fn a_history_without_available_blocks_is_reported_and_over() {
    let mut history = requested(Heights { from: 6, to: Some(9) });
    settle(&mut history, 100, &index(752, 851));
    let answer = plan(&history, Some(100), &index(752, 851));
    assert_eq!((answer.state, answer.start_height), (HistoryState::None, Some(101)));
    assert_eq!(answer.missing, [missing(6, 9, MissingReason::Pruned)]);
    let last = history.progress(100).unwrap();
    assert_eq!((last.share, last.height, last.missing), (1.0, 9, answer.missing));
}

#[test]
fn a_history_above_the_tip_ends_at_a_block_that_exists() {
    let mut history = requested(Heights { from: 500, to: None });
    settle(&mut history, 100, &index(0, 100));
    let answer = plan(&history, Some(100), &index(0, 100));
    assert_eq!((answer.state, answer.start_height), (HistoryState::None, Some(500)));
    let last = history.progress(100).unwrap();
    assert_eq!((last.share, last.height), (1.0, 100));
}

#[test]
fn unseen_blocks_are_missing_without_an_index() {
    let mut history = unseen(7, 9);
    let last = history.progress(9).unwrap();
    assert_eq!(
        (last.share, last.height, last.missing),
        (1.0, 9, vec![missing(7, 9, MissingReason::Unseen)])
    );
}
