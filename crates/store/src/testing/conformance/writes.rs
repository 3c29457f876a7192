//! Properties of commits.

use super::fixtures::*;
use crate::StoreError;
use crate::{Batch, BlockChange};

/// A client of an earlier log resumes from a lower id, and receives a gap.
pub fn a_log_may_begin_at_any_id(new: NewLog<'_>) {
    let log = new(WIDE);
    log.begin_log(1_000_000).unwrap();
    assert_eq!(
        (
            log.next_event_id().unwrap(),
            log.complete_from().unwrap(),
            log.hole_before().unwrap()
        ),
        (1_000_000, 1_000_000, 0)
    );
    append(&*log, [entry(1_000_000, 1), entry(1_000_001, 1)]);
    log.begin_log(5_000_000).unwrap();
    assert_eq!(ids(&*log, 0), [1_000_000, 1_000_001]);
    assert_eq!(
        (log.next_event_id().unwrap(), log.complete_from().unwrap()),
        (1_000_002, 1_000_000)
    );
    // There is no event 0.
    let log = new(WIDE);
    log.begin_log(0).unwrap();
    assert_eq!((log.next_event_id().unwrap(), log.complete_from().unwrap()), (1, 1));
    append(&*log, [entry(1, 1)]);
    log.begin_log(50).unwrap();
    assert_eq!(log.next_event_id().unwrap(), 2, "the log has started");
}

/// Neither its events nor its other changes.
pub fn a_batch_out_of_sequence_changes_nothing(new: NewLog<'_>) {
    let log = new(WIDE);
    append(&*log, [entry(1, 1), entry(2, 1)]);
    let before = state(&*log);
    for (wrong, expected, found) in [
        (vec![entry(4, 1)], 3, 4),
        (vec![entry(2, 7)], 3, 2),
        (vec![entry(3, 1), entry(5, 1)], 4, 5),
        (vec![entry(3, 1), entry(3, 1)], 4, 3),
    ] {
        let batch = Batch {
            block: Some(BlockChange::Connect(8, hash(8))),
            events: wrong,
            payments: vec![(outpoint(1), Some(vec![1]))],
        };
        let error = log.commit(&batch).unwrap_err();
        let StoreError::OutOfSequence { expected: e, found: f } = error else {
            panic!("{error}");
        };
        assert_eq!((e, f), (expected, found));
        assert_eq!(state(&*log), before);
    }
}

/// A commit that returned an error may be durable, and is retried.
pub fn a_batch_that_is_committed_again_is_there_once(new: NewLog<'_>) {
    let log = new(WIDE);
    let batches = [
        Batch {
            block: Some(BlockChange::Jump(1, hash(1))),
            ..Batch::default()
        },
        Batch {
            block: Some(BlockChange::Connect(2, hash(2))),
            events: vec![entry(1, 1), entry(2, 2)],
            payments: vec![(outpoint(1), Some(vec![1])), (outpoint(2), None)],
        },
        Batch {
            block: Some(BlockChange::Disconnect {
                height: 2,
                parent: hash(1),
            }),
            events: vec![entry(3, 1)],
            payments: vec![(outpoint(1), None)],
        },
        Batch {
            payments: vec![(outpoint(3), Some(vec![3]))],
            ..Batch::default()
        },
    ];
    for batch in batches {
        log.commit(&batch).unwrap();
        let once = state(&*log);
        log.commit(&batch).unwrap();
        assert_eq!(state(&*log), once, "{batch:?}");
    }
}

/// They are in one commit.
pub fn payments_are_written_and_deleted_with_their_events(new: NewLog<'_>) {
    let log = new(WIDE);
    let batch = |id, payments| Batch {
        events: vec![entry(id, 1)],
        payments,
        ..Batch::default()
    };
    let written = vec![(outpoint(1), Some(b"one".to_vec())), (outpoint(2), Some(Vec::new()))];
    log.commit(&batch(1, written)).unwrap();
    let changed = vec![
        (outpoint(1), None),
        (outpoint(2), Some(b"two".to_vec())),
        (outpoint(3), None),
    ];
    log.commit(&batch(2, changed)).unwrap();
    assert_eq!(log.payments().unwrap(), [(outpoint(2), b"two".to_vec())]);
}

/// A kill between the two halves of a reorganisation must not leave a log without a block: the stream would restart at
/// the tip of the node, and the blocks in between would be lost.
pub fn the_tip_follows_its_changes(new: NewLog<'_>) {
    let log = new(WIDE);
    let left = |height, parent| BlockChange::Disconnect {
        height,
        parent: hash(parent),
    };
    change(&*log, BlockChange::Jump(7, hash(7)));
    change(&*log, left(7, 6));
    assert_eq!(log.recent_blocks().unwrap(), [(6, hash(6))], "the parent becomes known");
    for (height, block) in [(7, 70), (8, 80), (9, 90)] {
        change(&*log, BlockChange::Connect(height, hash(block)));
    }
    change(&*log, left(9, 80));
    change(&*log, left(8, 70));
    change(&*log, BlockChange::Connect(8, hash(88)));
    assert_eq!(
        log.recent_blocks().unwrap(),
        [(6, hash(6)), (7, hash(70)), (8, hash(88))]
    );
    let log = new(WIDE);
    change(&*log, BlockChange::Connect(0, hash(0)));
    change(&*log, left(0, 0));
    assert!(
        log.recent_blocks().unwrap().is_empty(),
        "below the first block there is none"
    );
}

/// A reader that has all events up to it still misses blocks.
pub fn a_jump_is_a_hole_unless_it_is_the_first_block(new: NewLog<'_>) {
    let log = new(WIDE);
    let ends = || (log.complete_from().unwrap(), log.hole_before().unwrap());
    change(&*log, BlockChange::Jump(1, hash(1)));
    assert_eq!(ends(), (1, 0), "the first block skips no other");
    append(&*log, [entry(1, 1), entry(2, 1)]);
    change(&*log, BlockChange::Jump(50, hash(50)));
    assert_eq!(ends(), (3, 3));
    assert_eq!(log.recent_blocks().unwrap(), [(50, hash(50))]);
    assert_eq!(ids(&*log, 0), [1, 2], "the existing events can still be read");
    append(&*log, [entry(3, 1)]);
    assert_eq!(ends(), (3, 3));
    let with_events = Batch {
        block: Some(BlockChange::Jump(90, hash(90))),
        events: vec![entry(4, 1)],
        ..Batch::default()
    };
    log.commit(&with_events).unwrap();
    assert_eq!(ends(), (4, 4), "its events are after the hole");
}
