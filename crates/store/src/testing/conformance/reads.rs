//! Properties of reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;
use sdk_relay_protocol::Topic;

use super::fixtures::*;
use crate::{Batch, EventKind, LogEntry, ReadLimit, Retention};

/// An empty log returns nothing, without an error.
pub fn an_empty_log_has_nothing(new: NewLog<'_>) {
    let log = new(WIDE);
    assert_eq!((log.next_event_id().unwrap(), log.complete_from().unwrap()), (1, 1));
    assert_eq!(log.hole_before().unwrap(), 0);
    assert!(log.read_after(0, EVERYTHING).unwrap().is_empty());
    assert!(log.recent_blocks().unwrap().is_empty() && log.payments().unwrap().is_empty());
    assert_eq!(
        log.newest_about(EventKind::BlockMined, hash(1), usize::MAX).unwrap(),
        None
    );
    log.commit(&Batch::default()).unwrap();
    assert_eq!(log.next_event_id().unwrap(), 1);
}

/// Each kind on each topic, with and without a block, and text of any content.
pub fn events_are_read_in_order_with_all_their_columns(new: NewLog<'_>) {
    let log = new(WIDE);
    let mut events = Vec::new();
    for kind in EventKind::ALL {
        for topic in Topic::ALL {
            for (height, block_hash) in [
                (None, None),
                (Some(0), Some(hash(0))),
                (Some(u32::MAX), None),
                (None, Some(hash(1))),
            ] {
                let id = events.len() as u64 + 1;
                events.push(LogEntry {
                    id,
                    topic,
                    kind,
                    height,
                    block_hash,
                    payload: Bytes::from(format!("{{\"é\n\0\":{id}}}")),
                });
            }
        }
    }
    for batch in events.chunks(7) {
        append(&*log, batch.to_vec());
    }
    assert_eq!(log.read_after(0, EVERYTHING).unwrap(), events);
    assert_eq!(log.read_after(100, EVERYTHING).unwrap(), events[100..]);
    let empty = LogEntry {
        payload: Bytes::new(),
        ..entry(events.len() as u64 + 1, 0)
    };
    append(&*log, [empty.clone()]);
    assert_eq!(log.read_after(events.len() as u64, EVERYTHING).unwrap(), [empty]);
}

/// The limit that is reached first applies.
pub fn reads_are_bounded_in_events_and_bytes(new: NewLog<'_>) {
    let log = new(WIDE);
    append(&*log, (1..=10).map(|id| entry(id, 100)));
    let read = |after, events, bytes| {
        let read = log.read_after(after, ReadLimit { events, bytes }).unwrap();
        read.iter().map(|entry| entry.id).collect::<Vec<_>>()
    };
    assert_eq!(read(3, 2, usize::MAX), [4, 5]);
    assert_eq!(read(3, 9, 250), [4, 5]);
    assert_eq!(read(3, 9, 300), [4, 5, 6], "the limit itself is allowed");
    assert_eq!(read(3, 1, 300), [4]);
    assert_eq!(read(9, 9, 300), [10]);
    assert!(read(10, 9, 300).is_empty());
}

/// At least one event is always returned, so that a reader can proceed.
pub fn an_event_above_the_limit_of_bytes_is_read(new: NewLog<'_>) {
    let log = new(WIDE);
    append(&*log, [entry(1, 5), entry(2, 1 << 20), entry(3, 5)]);
    let (mut after, mut read) = (0, Vec::new());
    loop {
        let entries = log.read_after(after, ReadLimit { events: 9, bytes: 10 }).unwrap();
        let Some(last) = entries.last() else { break };
        assert!(entries.len() == 1 || entries.iter().map(|e| e.payload.len()).sum::<usize>() <= 10);
        after = last.id;
        read.extend(entries.iter().map(|entry| entry.id));
    }
    assert_eq!(read, [1, 2, 3]);
}

/// Including the largest number, after which there is no id.
pub fn no_id_is_too_large_to_read_after(new: NewLog<'_>) {
    let log = new(WIDE);
    append(&*log, [entry(1, 5)]);
    for after in [1, 2, u64::MAX - 1, u64::MAX] {
        assert!(log.read_after(after, EVERYTHING).unwrap().is_empty(), "{after}");
    }
}

/// By kind and block, the newest first, within `look_back`.
pub fn the_newest_event_about_a_block_is_found(new: NewLog<'_>) {
    let log = new(Retention { events: 8, ..WIDE });
    let (mined, left) = (EventKind::BlockMined, EventKind::BlockDisconnected);
    append(
        &*log,
        [
            about(1, mined, 7, hash(7)),
            about(2, EventKind::Tweaks, 7, hash(7)),
            about(3, left, 7, hash(7)),
        ],
    );
    append(&*log, [about(4, mined, 7, hash(77)), entry(5, 1000), entry(6, 1000)]);
    let find = |kind, block, look_back| log.newest_about(kind, hash(block), look_back).unwrap();
    assert_eq!(find(mined, 7, usize::MAX), Some(1));
    assert_eq!(find(left, 7, usize::MAX), Some(3));
    assert_eq!(find(left, 77, usize::MAX), None);
    assert_eq!(find(mined, 8, usize::MAX), None);
    assert_eq!(
        (find(mined, 77, 2), find(mined, 77, 3), find(mined, 77, 0)),
        (None, Some(4), None)
    );
    append(&*log, [about(7, mined, 7, hash(7))]);
    assert_eq!(find(mined, 7, usize::MAX), Some(7), "it was mined again");
    append(&*log, [entry(8, 1), entry(9, 1), entry(10, 1), entry(11, 1)]);
    assert_eq!(find(left, 7, usize::MAX), None, "the log no longer holds it");
}

/// While the writer commits and old events are removed, a reader sees consecutive ids up to the end of a commit, and
/// never goes back.
pub fn a_reader_sees_whole_commits_in_order(new: NewLog<'_>) {
    const BATCHES: u64 = 100;
    const SIZE: u64 = 3;
    /// Signals the end even if the writer panics: otherwise the readers would never stop.
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    let log = new(Retention { events: 60, ..WIDE });
    let has_ended = AtomicBool::new(false);
    let read = |step: usize| {
        let (mut after, mut newest, mut is_last) = (0, 0, false);
        while !is_last {
            is_last = has_ended.load(Ordering::Acquire);
            let limit = ReadLimit {
                events: step,
                ..EVERYTHING
            };
            let entries = log.read_after(after, limit).unwrap();
            let next = log.next_event_id().unwrap();
            assert!(next > newest && (next - 1).is_multiple_of(SIZE), "{next}");
            newest = next - 1;
            let Some((first, last)) = entries.first().zip(entries.last()) else {
                continue;
            };
            assert_eq!(last.id - first.id + 1, entries.len() as u64, "a hole");
            assert!(last.id <= newest, "read before it was committed");
            let is_next = first.id == after + 1;
            assert!(
                is_next || log.complete_from().unwrap() >= first.id,
                "events are lost without a gap"
            );
            assert!(step != usize::MAX || last.id.is_multiple_of(SIZE), "half a commit");
            after = last.id;
        }
        after
    };
    thread::scope(|scope| {
        let reader = |step| {
            thread::Builder::new()
                .spawn_scoped(scope, {
                    let read = &read;
                    move || read(step)
                })
                .unwrap()
        };
        let readers = [reader(usize::MAX), reader(4)];
        let end = End(&has_ended);
        for n in 0..BATCHES {
            append(&*log, (n * SIZE + 1..=(n + 1) * SIZE).map(|id| entry(id, 50)));
        }
        drop(end);
        let [all, _] = readers.map(|reader| reader.join().unwrap());
        assert_eq!(all, BATCHES * SIZE);
    });
}
