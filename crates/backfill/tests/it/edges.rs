//! Edge cases of [`Backfill`].

use std::time::{Duration, Instant};

use sdk_relay_backfill::{Backfill, Heights, Limits, Live, MISSING_RANGES, NextRange};
use sdk_relay_protocol::{MissingBlocks, MissingReason};

const LIMITS: Limits = Limits {
    held: 4,
    stalled: Duration::from_secs(30),
};

/// Nothing to send.
const NONE: [u32; 0] = [];

fn request(from: u32, to: Option<u32>) -> Backfill<u32> {
    Backfill::new(Heights { from, to }, LIMITS)
}

fn settled(from: u32, to: Option<u32>, tip: u32) -> Backfill<u32> {
    let mut backfill = request(from, to);
    assert!(backfill.settle(tip, Live::AfterHistory, Instant::now()));
    backfill
}

fn scan(from: u32, to: u32) -> NextRange {
    NextRange::Scan { from, to }
}

fn damaged(from: u32, to: u32) -> MissingBlocks {
    MissingBlocks {
        from,
        to,
        reason: MissingReason::Damaged,
    }
}

#[test]
fn before_the_first_block_it_waits_and_holds_no_items() {
    let now = Instant::now();
    let mut backfill = request(10, Some(30));
    assert_eq!((backfill.next(), backfill.position()), (NextRange::Waiting, None));
    assert_eq!(backfill.live(1, true), [1]);
    backfill.disconnected(5);
    backfill.extend(50);
    assert_eq!(backfill.scanned(10, 20, now), None);
    assert_eq!(backfill.skip(damaged(10, 20), now), None);
    assert!(backfill.progress(0).is_none() && !backfill.is_over());
    assert!(backfill.settle(100, Live::AfterHistory, now));
    assert!(
        !backfill.settle(200, Live::AtOnce, now),
        "the tip at registration counts"
    );
    assert_eq!(backfill.next(), scan(10, 30));
    assert_eq!(backfill.live(2, true), NONE);
}

#[test]
fn a_reorganisation_ends_the_history_below_it() {
    let now = Instant::now();
    let mut backfill = settled(10, None, 20);
    assert_eq!(backfill.scanned(10, 15, now), Some(15));
    backfill.disconnected(21);
    assert_eq!(backfill.next(), scan(16, 20), "above the history");
    backfill.disconnected(20);
    backfill.disconnected(19);
    assert_eq!(backfill.next(), scan(16, 18));
    // A scan of the old range, of which a part is still in the chain.
    assert_eq!(backfill.scanned(16, 20, now), Some(18));
    assert_eq!(backfill.next(), NextRange::Done);
}

#[test]
fn a_reorganisation_below_sent_blocks_refuses_the_scan_in_progress() {
    let now = Instant::now();
    let mut backfill = settled(10, None, 20);
    assert_eq!(backfill.scanned(10, 15, now), Some(15));
    backfill.disconnected(15);
    assert_eq!(backfill.scanned(16, 20, now), None);
    assert_eq!((backfill.next(), backfill.position()), (NextRange::Done, Some(15)));
}

#[test]
fn a_reorganisation_below_the_start_ends_it() {
    for height in [9, 5, 0] {
        let mut backfill = settled(10, None, 20);
        backfill.disconnected(height);
        assert_eq!(backfill.next(), NextRange::Done);
        let last = backfill.progress(height).unwrap();
        assert_eq!((last.share, last.height), (1.0, height.saturating_sub(1)));
    }
    // No block remains, not even the one at height 0.
    let mut backfill = settled(0, None, 20);
    backfill.disconnected(0);
    assert!(backfill.is_over());
}

#[test]
fn an_empty_range_is_complete_immediately() {
    // Above the tip; the last before the first; both.
    for (from, to, tip) in [(21, None, 20), (10, Some(9), 20), (30, Some(25), 20)] {
        let mut backfill = settled(from, to, tip);
        assert_eq!((backfill.next(), backfill.is_over()), (NextRange::Done, true));
        let last = backfill.progress(tip).unwrap();
        assert_eq!((last.share, last.height), (1.0, tip.min(from - 1)));
        assert_eq!(backfill.progress(tip), None);
        backfill.disconnected(tip);
        assert!(backfill.is_over(), "the block that replaces it is live");
    }
    let mut one = settled(20, None, 20);
    assert_eq!(one.next(), scan(20, 20));
    one.disconnected(20);
    assert!(one.is_over());
}

#[test]
fn the_highest_heights_are_accepted() {
    let now = Instant::now();
    let mut backfill = settled(u32::MAX - 1, None, u32::MAX);
    assert_eq!(backfill.next(), scan(u32::MAX - 1, u32::MAX));
    assert_eq!(backfill.scanned(u32::MAX - 1, u32::MAX - 1, now), Some(u32::MAX - 1));
    assert_eq!(backfill.next(), scan(u32::MAX, u32::MAX));
    let missing = damaged(0, u32::MAX);
    assert_eq!(backfill.skip(missing, now), Some(damaged(u32::MAX, u32::MAX)));
    assert!(backfill.is_over());
    assert_eq!(backfill.progress(u32::MAX).map(|p| p.share), Some(1.0));

    let mut whole = settled(0, Some(u32::MAX), u32::MAX);
    assert_eq!(whole.scanned(0, u32::MAX, now), Some(u32::MAX));
    assert!(whole.is_over());
}

#[test]
fn a_range_that_does_not_begin_at_the_next_block_is_refused() {
    let now = Instant::now();
    let mut backfill = settled(10, None, 20);
    for (from, to) in [(9, 15), (11, 15), (10, 9)] {
        assert_eq!(backfill.scanned(from, to, now), None, "{from} to {to}");
    }
    for range in [damaged(11, 15), damaged(5, 9)] {
        assert_eq!(backfill.skip(range, now), None, "{range}");
    }
    assert_eq!(backfill.skip(damaged(5, 12), now), Some(damaged(10, 12)));
    assert_eq!(backfill.next(), scan(13, 20));
    assert_eq!(backfill.skip(damaged(13, 99), now), Some(damaged(13, 20)));
    assert_eq!(backfill.scanned(21, 30, now), None, "it is over");
}

#[test]
fn missing_blocks_end_with_the_history() {
    let now = Instant::now();
    let mut backfill = settled(0, None, 20);
    backfill.skip(damaged(0, 3), now);
    backfill.scanned(4, 9, now);
    backfill.skip(damaged(10, 15), now);
    backfill.disconnected(12);
    assert_eq!(backfill.missing(), [damaged(0, 3), damaged(10, 11)]);
    backfill.disconnected(10);
    assert_eq!(backfill.missing(), [damaged(0, 3)]);
    backfill.disconnected(0);
    assert!(backfill.missing().is_empty());
}

#[test]
fn missing_ranges_are_bounded_and_none_is_left_out() {
    let now = Instant::now();
    let mut backfill = settled(0, None, 100_000);
    let heights: Vec<u32> = (0..200).map(|n| 10 * n + 5).collect();
    for height in &heights {
        backfill.scanned(height - 5, height - 1, now);
        backfill.skip(damaged(*height, *height), now);
        backfill.scanned(height + 1, height + 4, now);
    }
    let reported = backfill.progress(100_000).unwrap().missing;
    assert_eq!(reported.len(), MISSING_RANGES);
    for height in heights {
        assert!(reported.iter().any(|r| (r.from..=r.to).contains(&height)), "{height}");
    }
    // Adjacent ranges are merged.
    let mut backfill = settled(0, None, 100);
    backfill.skip(damaged(0, 1), now);
    backfill.skip(damaged(2, 2), now);
    assert_eq!(backfill.missing(), [damaged(0, 2)]);
}

#[test]
fn progress_grows_from_zero_to_one() {
    let now = Instant::now();
    let share = |backfill: &mut Backfill<u32>| backfill.progress(999).map(|p| p.share);
    let mut backfill = settled(0, None, 999);
    assert_eq!(share(&mut backfill), Some(0.0));
    backfill.scanned(0, 4, now);
    assert_eq!(share(&mut backfill), None);
    backfill.scanned(5, 499, now);
    assert_eq!(share(&mut backfill), Some(0.5));
    backfill.scanned(500, 5_000, now);
    assert_eq!((share(&mut backfill), share(&mut backfill)), (Some(1.0), None));
}

#[test]
fn initially_missing_blocks_do_not_count_in_the_progress() {
    let now = Instant::now();
    let mut backfill = settled(0, None, 851);
    backfill.skip(damaged(0, 751), now);
    let first = backfill.progress(851).unwrap();
    assert_eq!(
        (first.share, first.height, first.missing),
        (0.0, 751, vec![damaged(0, 751)])
    );
    backfill.scanned(752, 801, now);
    let half = backfill.progress(851).unwrap();
    assert_eq!((half.share, half.missing), (0.5, Vec::new()));
    backfill.scanned(802, 851, now);
    let last = backfill.progress(851).unwrap();
    assert_eq!(
        (last.share, last.height, last.missing),
        (1.0, 851, vec![damaged(0, 751)])
    );
}

#[test]
fn waiting_items_are_in_order_and_bounded() {
    let mut backfill = settled(0, None, 9);
    for n in 0..4 {
        assert_eq!(backfill.live(n, true), NONE);
    }
    assert_eq!(backfill.live(4, true), [0, 1, 2, 3, 4]);
    assert_eq!(backfill.live(5, true), [5], "from then on no item waits");

    let mut full = settled(0, None, 9);
    assert_eq!(full.live(0, true), NONE);
    assert_eq!(full.live(1, false), [0, 1], "the caller has no capacity");

    let mut at_once = request(0, None);
    at_once.settle(9, Live::AtOnce, Instant::now());
    assert_eq!(at_once.live(0, true), [0]);

    let mut over = settled(0, None, 9);
    over.live(0, true);
    over.scanned(0, 9, Instant::now());
    assert_eq!(over.release(), [0]);
    assert_eq!((over.release(), over.live(1, true)), (vec![], vec![1]));
}

#[test]
fn items_do_not_wait_for_a_scan_without_progress() {
    let start = Instant::now();
    let mut backfill = request(0, None);
    backfill.settle(9, Live::AfterHistory, start);
    assert_eq!(backfill.live(1, true), NONE);
    let later = start + LIMITS.stalled;
    assert_eq!(backfill.release_stalled(later - Duration::from_millis(1)), NONE);
    // Progress resets the time.
    backfill.scanned(0, 3, later);
    assert_eq!(backfill.release_stalled(later), NONE);
    // A clock that goes back has no effect.
    assert_eq!(backfill.release_stalled(start), NONE);
    assert_eq!(backfill.release_stalled(later + LIMITS.stalled), [1]);
    assert_eq!(backfill.live(2, true), [2]);
    assert_eq!(backfill.next(), scan(4, 9), "the scan continues");
}

#[test]
fn skipped_blocks_become_history() {
    let mut backfill = settled(10, None, 20);
    backfill.scanned(10, 20, Instant::now());
    backfill.extend(25);
    assert_eq!(backfill.next(), scan(21, 25));
    backfill.extend(22);
    assert_eq!(backfill.next(), scan(21, 25), "never lower");
}
