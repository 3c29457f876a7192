//! The logs of this crate pass [`conformance`], and the one in a file behaves like the one in memory.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::testing::MemoryLog;
use crate::testing::conformance::{EVERYTHING, about, durable, outpoint, state};

mod in_memory {
    use super::*;

    crate::event_log_tests!(|retention| Arc::new(MemoryLog::new(retention)) as Arc<dyn EventLog>);
}

mod in_a_file {
    use super::*;

    crate::event_log_tests!(|retention| {
        let dir = tempfile::tempdir().unwrap();
        // An open file remains usable after its directory is deleted.
        let store = Store::open(&dir.path().join("relay.redb"), "regtest", retention).unwrap();
        Arc::new(store) as Arc<dyn EventLog>
    });

    #[test]
    fn everything_is_there_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("relay.redb");
        let open = |retention| Arc::new(Store::open(&path, "regtest", retention).unwrap()) as Arc<dyn EventLog>;
        durable::everything_is_there_after_reopening(&open);
    }
}

/// A step of a writer, independent of the state of the log.
#[derive(Clone, Debug)]
struct Step {
    block: u8,
    sizes: Vec<usize>,
    payment: Option<(u32, Option<u8>)>,
    /// Offset of the event ids from the correct ones.
    wrong_by: u64,
    is_committed_again: bool,
    read: (u64, usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let payment = proptest::option::of((0u32..4, proptest::option::of(any::<u8>())));
    let wrong = prop_oneof![9 => Just(0u64), 1 => 1u64..3];
    let read = (0u64..40, 0usize..6, 0usize..400);
    (
        0u8..9,
        proptest::collection::vec(0usize..200, 0..5),
        payment,
        wrong,
        any::<bool>(),
        read,
    )
        .prop_map(|(block, sizes, payment, wrong_by, is_committed_again, read)| Step {
            block,
            sizes,
            payment,
            wrong_by,
            is_committed_again,
            read,
        })
}

impl Step {
    /// The batch that this step commits to `log`.
    fn batch(&self, n: u32, log: &dyn EventLog) -> Batch {
        let tip = log.recent_blocks().unwrap().last().copied();
        let next = tip.map_or(100, |(height, _)| height + 1);
        let block = match (self.block, tip) {
            (0..=3, _) => Some(BlockChange::Connect(next, hash(n % 8))),
            (4 | 5, Some((height, _))) if height > 0 => Some(BlockChange::Disconnect {
                height,
                parent: hash(height - 1),
            }),
            (6, _) => Some(BlockChange::Jump(next + 5, hash(n % 8))),
            _ => None,
        };
        let first = log.next_event_id().unwrap() + self.wrong_by;
        let event = |(id, size): (u64, &usize)| LogEntry {
            payload: vec![b'x'; *size].into(),
            ..about(id, EventKind::ALL[*size % EventKind::ALL.len()], next, hash(n % 8))
        };
        Batch {
            block,
            events: (first..).zip(&self.sizes).map(event).collect(),
            payments: self
                .payment
                .map(|(n, value)| (outpoint(n), value.map(|v| vec![v])))
                .into_iter()
                .collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// After any writes and reopens, readers of both logs see the same.
    #[test]
    fn the_file_is_as_the_plain_model(
        steps in proptest::collection::vec((step(), 0u8..8), 1..40),
        first in prop_oneof![Just(1u64), 1u64..30],
        (events, bytes) in (1u64..30, 100u64..2000),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let retention = Retention { events, bytes };
        let open = || Store::open(&dir.path().join("relay.redb"), "regtest", retention).unwrap();
        let (model, mut file) = (MemoryLog::new(retention), open());
        for log in [&model as &dyn EventLog, &file] {
            log.begin_log(first).unwrap();
        }
        for (n, (step, reopen)) in (1u32..).zip(steps) {
            let batch = step.batch(n, &model);
            for _ in 0..1 + u8::from(step.is_committed_again) {
                let [a, b] = [&model as &dyn EventLog, &file].map(|log| log.commit(&batch).map_err(|e| e.to_string()));
                prop_assert_eq!(a, b);
            }
            if reopen == 0 {
                drop(file);
                file = open();
            }
            prop_assert_eq!(state(&model), state(&file));
            let (after, events, bytes) = step.read;
            for limit in [ReadLimit { events, bytes }, ReadLimit { events, ..EVERYTHING }] {
                prop_assert_eq!(model.read_after(after, limit).unwrap(), file.read_after(after, limit).unwrap());
            }
            for kind in EventKind::ALL {
                let found = [&model as &dyn EventLog, &file].map(|log| log.newest_about(kind, hash(n % 8), events).unwrap());
                prop_assert_eq!(found[0], found[1]);
            }
        }
    }
}
