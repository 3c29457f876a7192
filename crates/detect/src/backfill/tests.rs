use bitcoin::BlockHash;
use bitcoin::hashes::Hash;

use super::*;
use sdk_relay_index::IndexState;

fn at(height: u32) -> BlockRef {
    BlockRef {
        height,
        hash: BlockHash::all_zeros(),
    }
}

/// An index of the blocks from `first` to `tip`, whose configuration asks for those from 5 on.
fn index(first: u32, tip: u32) -> IndexStatus {
    IndexStatus {
        state: IndexState::Current,
        since: Instant::now(),
        start_height: 5,
        first,
        first_is_known: true,
        tip: Some(at(tip)),
        target: Some(tip),
        node_is_syncing: false,
    }
}

/// The blocks from 10 to 20 at a tip of 20, of an index that has come to `tip`.
fn settled(from: u32, until: u32, tip: u32) -> Backfill {
    let mut backfill = Backfill::new(Heights { from, to: None });
    assert!(backfill.settle(until, &index(0, tip)));
    backfill
}

fn missing(from: u32, to: u32, reason: MissingReason) -> MissingBlocks {
    MissingBlocks { from, to, reason }
}

#[test]
fn a_block_is_sent_by_the_scan_or_live() {
    let mut backfill = settled(10, 20, 20);
    backfill.through(at(15));
    assert_eq!(backfill.range(), Some((16, 20)));
    backfill.disconnected(21);
    assert_eq!(backfill.range(), Some((16, 20)), "above the history");
    backfill.disconnected(20);
    backfill.disconnected(19);
    assert_eq!(backfill.range(), Some((16, 18)));
    for height in [18, 17, 16, 15] {
        backfill.disconnected(height);
    }
    assert_eq!(backfill.range(), Some((15, 14)));
    assert!(backfill.is_over());
}

#[test]
fn progress_begins_at_nothing_grows_and_ends_at_one() {
    let share = |backfill: &mut Backfill| backfill.progress(999).map(|p| p.share);
    let mut backfill = settled(0, 999, 0);
    assert_eq!(share(&mut backfill), Some(0.0));
    backfill.through(at(4));
    assert_eq!(share(&mut backfill), None);
    backfill.through(at(499));
    assert_eq!(share(&mut backfill), Some(0.5));
    backfill.through(at(5000));
    assert_eq!((share(&mut backfill), share(&mut backfill)), (Some(1.0), None));
}

#[test]
fn what_is_held_comes_in_order_and_is_bounded() {
    let frame = |n: usize| QueuedFrame::of(n.to_string());
    let mut backfill = settled(0, 9, 9);
    for n in 0..HELD {
        assert!(backfill.hold(frame(n)).is_empty());
    }
    let all = backfill.hold(frame(HELD));
    assert_eq!(all, (0..=HELD).map(frame).collect::<Vec<_>>());
    assert_eq!(backfill.hold(frame(0)), [frame(0)], "from then on nothing waits");
    assert_eq!(
        settled(0, 99, 9).hold(frame(1)),
        [frame(1)],
        "an index that is being built"
    );
}

#[test]
fn news_does_not_wait_for_a_scan_that_does_not_get_on() {
    let frame = |n: usize| QueuedFrame::of(n.to_string());
    let mut backfill = settled(0, 9, 9);
    assert!(backfill.hold(frame(1)).is_empty());
    let begun = Instant::now();
    assert!(backfill.release_stalled(begun).is_empty());
    assert_eq!(backfill.release_stalled(begun + STALLED_AT_MOST), [frame(1)]);
    assert_eq!(backfill.hold(frame(2)), [frame(2)]);
    assert!(!backfill.is_over(), "the scan goes on");
}

#[test]
fn a_request_without_a_tip_waits_and_is_never_over() {
    let mut backfill = Backfill::new(Heights { from: 10, to: Some(30) });
    let plan = backfill.plan(None, &index(12, 40));
    assert_eq!((plan.state, plan.start_height), (HistoryState::Waiting, Some(12)));
    assert_eq!(plan.missing, [missing(10, 11, MissingReason::Pruned)]);
    backfill.through(at(100));
    backfill.disconnected(5);
    assert!(!backfill.is_over() && backfill.progress(0).is_none() && backfill.range().is_none());
    let unknown = IndexStatus {
        first_is_known: false,
        tip: None,
        ..index(0, 0)
    };
    assert_eq!(
        backfill.plan(None, &unknown),
        HistoryPlan {
            state: HistoryState::Waiting,
            start_height: None,
            missing: Vec::new()
        }
    );
    assert!(backfill.settle(100, &index(12, 40)) && !backfill.settle(200, &index(12, 40)));
    assert_eq!(backfill.range(), Some((12, 30)));
    assert_eq!(backfill.plan(Some(100), &index(12, 40)).state, HistoryState::Scanning);
}

#[test]
fn what_lies_below_the_index_is_missing_and_no_part_of_the_progress() {
    let mut backfill = Backfill::new(Heights { from: 0, to: None });
    backfill.settle(751 + 100, &index(752, 851));
    let expected = [
        missing(0, 4, MissingReason::BelowStartHeight),
        missing(5, 751, MissingReason::Pruned),
    ];
    let first = backfill.progress(851).unwrap();
    assert_eq!(
        (first.share, first.height, &first.missing[..]),
        (0.0, 751, &expected[..])
    );
    backfill.through(at(801));
    let half = backfill.progress(851).unwrap();
    assert_eq!((half.share, half.missing), (0.5, Vec::new()));
    backfill.through(at(851));
    let last = backfill.progress(851).unwrap();
    assert_eq!((last.share, last.height, &last.missing[..]), (1.0, 851, &expected[..]));
}

#[test]
fn a_history_of_which_nothing_can_be_had_says_so_and_is_over() {
    let mut backfill = Backfill::new(Heights { from: 6, to: Some(9) });
    backfill.settle(100, &index(752, 851));
    let plan = backfill.plan(Some(100), &index(752, 851));
    assert_eq!((plan.state, plan.start_height), (HistoryState::None, Some(101)));
    assert_eq!(plan.missing, [missing(6, 9, MissingReason::Pruned)]);
    let last = backfill.progress(100).unwrap();
    assert_eq!((last.share, last.height, last.missing), (1.0, 9, plan.missing));
}

#[test]
fn a_history_above_the_tip_ends_at_a_block_that_exists() {
    let mut backfill = Backfill::new(Heights { from: 500, to: None });
    backfill.settle(100, &index(0, 100));
    let plan = backfill.plan(Some(100), &index(0, 100));
    assert_eq!((plan.state, plan.start_height), (HistoryState::None, Some(500)));
    let last = backfill.progress(100).unwrap();
    assert_eq!((last.share, last.height), (1.0, 100));
}

#[test]
fn missing_ranges_are_bounded_and_none_is_left_out() {
    let mut backfill = settled(0, 100_000, 100_000);
    let mut damaged = Vec::new();
    for n in 0..200 {
        let height = 10 * n + 5;
        backfill.through(at(height - 1));
        backfill.skip(missing(height, height, MissingReason::Damaged));
        damaged.push(height);
    }
    let reported = backfill.progress(100_000).unwrap().missing;
    assert_eq!(reported.len(), RANGES);
    for height in damaged {
        assert!(reported.iter().any(|r| (r.from..=r.to).contains(&height)), "{height}");
    }
    // Adjacent ranges are merged.
    let mut backfill = settled(0, 100, 100);
    backfill.skip(missing(0, 1, MissingReason::Damaged));
    backfill.skip(missing(2, 2, MissingReason::Damaged));
    assert_eq!(
        backfill.progress(100).unwrap().missing,
        [missing(0, 2, MissingReason::Damaged)]
    );
}
