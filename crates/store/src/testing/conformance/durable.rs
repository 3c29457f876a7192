//! Properties of a persistent log.

use super::fixtures::*;
use crate::{Batch, BlockChange, EventKind, Retention};

/// All data is there after a reopen, and ids continue. `open` opens the same log each time.
pub fn everything_is_there_after_reopening(open: NewLog<'_>) {
    let retention = Retention { events: 4, ..WIDE };
    let log = open(retention);
    log.begin_log(1000).unwrap();
    drop(log);
    let log = open(retention);
    assert_eq!(
        (log.next_event_id().unwrap(), log.complete_from().unwrap()),
        (1000, 1000)
    );
    drop(log);
    let mut next = 1000;
    for (n, height) in (0u32..).zip(50..60) {
        let log = open(retention);
        let block = match n {
            0 => BlockChange::Jump(height, hash(height)),
            5 => BlockChange::Jump(height + 10, hash(height)),
            6 => BlockChange::Disconnect {
                height: height + 9,
                parent: hash(1),
            },
            7.. => BlockChange::Connect(height + 8, hash(height)),
            _ => BlockChange::Connect(height, hash(height)),
        };
        let events = vec![
            about(next, EventKind::BlockMined, height, hash(height)),
            entry(next + 1, 30),
        ];
        log.commit(&Batch {
            block: Some(block),
            events,
            payments: vec![(outpoint(n), Some(vec![7])), (outpoint(n / 2), None)],
        })
        .unwrap();
        next += 2;
        let before = state(&*log);
        drop(log);
        let log = open(retention);
        assert_eq!(state(&*log), before, "after {n} commits");
        assert_eq!(log.next_event_id().unwrap(), next);
    }
    let log = open(Retention { events: 2, ..WIDE });
    assert_eq!(ids(&*log, 0).len(), 4, "narrower bounds apply from the next commit");
    append(&*log, [entry(next, 1)]);
    assert_eq!(ids(&*log, 0), [next - 1, next]);
}
