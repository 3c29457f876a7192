//! Properties of retention.

use super::fixtures::*;
use crate::format::KEPT_BLOCKS;
use crate::{BlockChange, Retention};

/// The oldest are removed first, independently of commits.
pub fn the_oldest_events_are_removed_above_the_number(new: NewLog<'_>) {
    let log = new(Retention { events: 3, ..WIDE });
    for id in 1..=10 {
        append(&*log, [entry(id, 10)]);
        let first = id.saturating_sub(2).max(1);
        assert_eq!(ids(&*log, 0), (first..=id).collect::<Vec<_>>());
        assert_eq!(log.complete_from().unwrap(), first);
    }
    append(&*log, (11..=15).map(|id| entry(id, 10)));
    assert_eq!(ids(&*log, 0), [13, 14, 15], "the number applies to a single commit too");
    assert_eq!((log.complete_from().unwrap(), log.next_event_id().unwrap()), (13, 16));
    // A later hole remains the start of the complete part.
    change(&*log, BlockChange::Jump(1, hash(1)));
    append(&*log, [entry(16, 10)]);
    assert_eq!((ids(&*log, 0), log.complete_from().unwrap()), (vec![14, 15, 16], 16));
}

/// The size of payloads counts, and the bound is inclusive.
pub fn the_oldest_events_are_removed_above_the_bytes(new: NewLog<'_>) {
    let log = new(Retention { bytes: 250, ..WIDE });
    for id in 1..=10 {
        append(&*log, [entry(id, 100)]);
    }
    assert_eq!((ids(&*log, 0), log.complete_from().unwrap()), (vec![9, 10], 9));
    append(&*log, [entry(11, 50)]);
    assert_eq!(ids(&*log, 0), [9, 10, 11]);
    append(&*log, [entry(12, 1)]);
    assert_eq!(ids(&*log, 0), [10, 11, 12]);
}

/// Otherwise every resume would be a gap.
pub fn the_newest_event_stays_whatever_its_size(new: NewLog<'_>) {
    let log = new(Retention { bytes: 250, events: 0 });
    append(&*log, [entry(1, 10)]);
    append(&*log, [entry(2, 5000)]);
    assert_eq!((ids(&*log, 0), log.complete_from().unwrap()), (vec![2], 2));
    append(&*log, [entry(3, 10)]);
    assert_eq!(ids(&*log, 0), [3]);
}

/// The parts of a large block are kept until the next commit: a client that was up to date before the block receives
/// all of it.
pub fn the_last_commit_is_kept_as_a_whole(new: NewLog<'_>) {
    let log = new(Retention { bytes: 250, ..WIDE });
    append(&*log, [entry(1, 10), entry(2, 10)]);
    append(&*log, (3..=7).map(|id| entry(id, 200)));
    assert_eq!((ids(&*log, 0), log.complete_from().unwrap()), (vec![3, 4, 5, 6, 7], 3));
    append(&*log, [entry(8, 10)]);
    assert_eq!((ids(&*log, 0), log.complete_from().unwrap()), (vec![7, 8], 7));
}

/// Blocks have a bound of their own.
pub fn recent_blocks_are_bounded(new: NewLog<'_>) {
    let log = new(WIDE);
    change(&*log, BlockChange::Jump(100, hash(100)));
    change(&*log, BlockChange::Connect(101, hash(101)));
    change(&*log, BlockChange::Connect(100 + KEPT_BLOCKS, hash(3)));
    let heights: Vec<u32> = log.recent_blocks().unwrap().iter().map(|(height, _)| *height).collect();
    assert_eq!(heights, [101, 100 + KEPT_BLOCKS]);
}
