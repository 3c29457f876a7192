//! Files of format 1.

use std::path::Path;

use bytes::Bytes;
use sdk_relay_protocol::{Event, LARGEST_MESSAGE, Notification, Payment, ServerMessage, Topic, encode};

use super::*;
use crate::testing::Format1;
use crate::testing::conformance::{EVERYTHING, WIDE, append, entry, ids};

fn open(path: &Path) -> Store {
    Store::open(path, "regtest", WIDE).unwrap()
}

/// The messages that version 0.1 sent for a logged event.
fn sent_by_version_0_1(id: u64, payload: &[u8]) -> Vec<Bytes> {
    if payload.len() <= LARGEST_MESSAGE {
        return vec![Bytes::copy_from_slice(payload)];
    }
    let Ok(Notification {
        event: Event::Tweaks(block),
        timestamp,
        event_id,
        ..
    }) = serde_json::from_slice(payload)
    else {
        return vec![Bytes::copy_from_slice(payload)];
    };
    assert_eq!(event_id, Some(id));
    let message = |part: sdk_relay_protocol::Tweaks| {
        let event_id = event_id.filter(|_| part.part == part.parts);
        let notification = Notification {
            event: Event::Tweaks(part),
            timestamp,
            event_id,
            watch_seq: None,
        };
        Bytes::from(encode(&ServerMessage::Notification(notification)).unwrap())
    };
    block.into_parts().into_iter().map(message).collect()
}

/// Asserts that ids, topics and messages of each event are unchanged, and that its columns match.
fn holds(store: &Store, file: &Format1) {
    let log = store.read_after(0, EVERYTHING).unwrap();
    assert_eq!(log.len(), file.events.len());
    for (entry, (id, topic, payload)) in log.iter().zip(&file.events) {
        assert_eq!((entry.id, entry.topic), (*id, *topic));
        assert_eq!(
            entry.messages().collect::<Vec<_>>(),
            sent_by_version_0_1(*id, payload),
            "event {id}"
        );
        let is_long = payload.len() > LARGEST_MESSAGE;
        assert_eq!(entry.kind == EventKind::TweaksInParts, is_long);
        assert!(is_long || entry.payload == *payload);
        if entry.kind == EventKind::Unknown {
            continue;
        }
        let event: Event = serde_json::from_slice(payload).unwrap();
        let expected = LogEntry::new(*id, &event, entry.payload.clone()).unwrap();
        let kind = if is_long {
            EventKind::TweaksInParts
        } else {
            expected.kind
        };
        assert_eq!(*entry, LogEntry { kind, ..expected });
    }
    assert_eq!(store.next_event_id().unwrap(), file.next_event());
}

#[test]
fn a_file_of_version_0_1_is_migrated() {
    for is_old in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("relay.redb");
        let file = Format1 {
            is_old,
            ..Format1::sample()
        };
        file.write_file(&path);
        assert!(
            file.events
                .iter()
                .any(|(_, _, payload)| payload.len() > LARGEST_MESSAGE)
        );
        for start in ["first", "second"] {
            let store = open(&path);
            holds(&store, &file);
            let (from, hole, tip, syncs) = match is_old {
                true => (Format1::FIRST, 0, 7, Vec::new()),
                false => (Format1::HOLE_BEFORE, Format1::HOLE_BEFORE, 50, vec![b"a sync".to_vec()]),
            };
            assert_eq!(
                (store.complete_from().unwrap(), store.hole_before().unwrap()),
                (from, hole),
                "{start}"
            );
            assert_eq!(store.recent_blocks().unwrap(), [(tip, hash(tip))]);
            let [(_, payment)] = &store.payments().unwrap()[..] else {
                panic!("one payment")
            };
            assert_eq!(payment, b"a payment");
            assert_eq!(store.syncs().unwrap(), syncs);
            let mined = |height| {
                store
                    .newest_about(EventKind::BlockMined, hash(height), usize::MAX)
                    .unwrap()
            };
            assert_eq!(
                (mined(7), mined(8), mined(50), mined(9)),
                (Some(41), Some(45), Some(51), None)
            );
            let left = store.newest_about(EventKind::BlockDisconnected, hash(8), usize::MAX);
            assert_eq!(left.unwrap(), Some(48));
        }
    }
}

/// The size of the log is recounted: a wrong size would keep too much, or remove too much.
#[test]
fn a_migrated_log_continues_with_the_same_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    let mut file = Format1::sample();
    file.events.clear();
    file.events
        .extend((1..=10).map(|id| (id, Topic::Notifications, vec![b'1'; 100])));
    file.write_file(&path);
    let thousand = Retention {
        events: 1000,
        bytes: 1000,
    };
    let store = Store::open(&path, "regtest", thousand).unwrap();
    append(&store, [entry(11, 0)]);
    assert_eq!(ids(&store, 0), (1..=11).collect::<Vec<_>>());
    append(&store, [entry(12, 1)]);
    assert_eq!(ids(&store, 0), (2..=12).collect::<Vec<_>>());
    append(&store, [entry(13, 900)]);
    assert_eq!(ids(&store, 0), [11, 12, 13]);
}

/// From another version, or damaged: the relay starts, clients receive it unchanged, and the ids stay consecutive.
#[test]
fn an_event_that_cannot_be_decoded_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    let mut file = Format1::sample();
    let foreign = [
        br#"{"type":"notification","notification_type":"of_the_future","data":{},"timestamp":1,"event_id":53}"#
            .to_vec(),
        br#"{"type":"notification","notification_type":"block_mined","data":{"block_height":1},"event_id":54}"#
            .to_vec(),
        b"no JSON".to_vec(),
        Vec::new(),
        vec![b'{'; LARGEST_MESSAGE + 1],
    ];
    for payload in foreign {
        file.events.push((file.next_event(), Topic::Notifications, payload));
    }
    let (empty, no_topic) = (file.next_event(), file.next_event() + 1);
    file.damaged = vec![(empty, Vec::new()), (no_topic, b"\xffwhatever".to_vec())];
    file.write_file(&path);
    let store = open(&path);
    let log = store.read_after(0, EVERYTHING).unwrap();
    let unknown: Vec<_> = log.iter().filter(|entry| entry.kind == EventKind::Unknown).collect();
    assert_eq!(
        unknown.iter().map(|entry| entry.id).collect::<Vec<_>>(),
        (53..=59).collect::<Vec<_>>()
    );
    for (entry, (id, topic, payload)) in log.iter().zip(&file.events) {
        assert_eq!((entry.id, entry.topic), (*id, *topic));
        assert!(
            entry.kind == EventKind::TweaksInParts || entry.payload == *payload,
            "event {id}"
        );
    }
    for entry in &log[log.len() - 2..] {
        assert_eq!(
            (entry.messages().count(), entry.topic),
            (0, Topic::Notifications),
            "nothing was ever sent of it"
        );
    }
    append(&store, [entry(60, 1)]);
    assert_eq!(ids(&store, 0), (41..=60).collect::<Vec<_>>());
}

/// More events and more bytes than one transaction moves.
#[test]
fn a_large_log_is_migrated_in_slices() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    let mut file = Format1::sample();
    let [small, large] = [10, 4_000].map(|outputs| testing::tweaks_of_a_block(9, outputs));
    for n in 0..5_000 {
        file.push(if n % 300 == 0 { large.clone() } else { small.clone() });
    }
    file.write_file(&path);
    let before = std::fs::metadata(&path).unwrap().len();
    let wide = Retention {
        events: 1 << 20,
        bytes: 1 << 30,
    };
    let store = Store::open(&path, "regtest", wide).unwrap();
    holds(&store, &file);
    let after = std::fs::metadata(&path).unwrap().len();
    assert!(
        after < before + before / 2 + (16 << 20),
        "{before} bytes became {after}: pages of the old table are not used again"
    );
}

#[test]
fn an_empty_log_is_migrated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    let file = Format1 {
        events: Vec::new(),
        ..Format1::sample()
    };
    file.write_file(&path);
    holds(&open(&path), &file);
    append(&open(&path), [entry(Format1::FIRST, 1)]);
    assert_eq!(ids(&open(&path), 0), [Format1::FIRST]);
}

/// A refused file is not modified: another version, or another configuration, can use it.
#[test]
fn a_file_of_another_network_is_not_migrated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    let file = Format1::sample();
    file.write_file(&path);
    assert!(matches!(
        Store::open(&path, "mainnet", WIDE),
        Err(OpenError::OtherNetwork { .. })
    ));
    let database = redb::Database::open(&path).unwrap();
    assert_eq!(Format1::open_with_version_0_1(&database), 1);
    drop(database);
    holds(&open(&path), &file);
}

/// Version 0.1 makes its tables in a file before it finds the format too new. It must not report the file as damaged,
/// and must leave nothing harmful behind.
#[test]
fn version_0_1_refuses_the_file_by_its_format_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    let file = Format1::sample();
    file.write_file(&path);
    holds(&open(&path), &file);
    for _ in 0..2 {
        let database = redb::Database::open(&path).unwrap();
        assert_eq!(
            Format1::open_with_version_0_1(&database),
            3,
            "newer than the 1 that it reads"
        );
        drop(database);
        holds(&open(&path), &file);
    }
    append(&open(&path), [entry(file.next_event(), 1)]);
    // The same for this program and a file of the format after its own.
    let database = redb::Database::open(&path).unwrap();
    let tx = database.begin_write().unwrap();
    tx.open_table(format::META)
        .unwrap()
        .insert(format::META_FORMAT, 4)
        .unwrap();
    tx.delete_table(format::SYNC_HISTORY).unwrap();
    tx.commit().unwrap();
    drop(database);
    let error = Store::open(&path, "regtest", WIDE).unwrap_err();
    assert!(
        matches!(
            &error,
            OpenError::NewerFormat {
                found: 4,
                readable: 3,
                ..
            }
        ),
        "{error}"
    );
    let database = redb::Database::open(&path).unwrap();
    let tables: Vec<String> = database
        .begin_write()
        .unwrap()
        .list_tables()
        .unwrap()
        .map(|table| redb::TableHandle::name(&table).to_owned())
        .collect();
    assert!(
        !tables.contains(&"sync_history".to_owned()),
        "nothing is written into it: {tables:?}"
    );
}

/// Its programs have removed the records of final payments.
#[test]
fn a_file_of_format_2_gets_the_outputs_that_its_log_reports() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    let txid = |n: u8| format!("{n:02x}").repeat(32);
    let payment = |event: fn(Box<Payment>) -> Event, n: u8, height: Option<u32>| {
        let payment = serde_json::json!({
            "txid": txid(n), "block_height": height, "block_hash": height.map(|h| hash(h).to_string()), "amount": "0.001",
            "address": "sprt1q", "confirmations": u32::from(height.is_some()), "timestamp": 1, "fee": null, "size": 200,
            "vout": 5, "tweak": null, "label": null, "watch_id": null, "amount_sats": 100_000, "fee_sats": null,
        });
        event(serde_json::from_value(payment).unwrap())
    };
    let (detected, reverted): (fn(_) -> _, fn(_) -> _) = (Event::PaymentDetected, Event::PaymentReverted);
    let events = [
        // Final: seen in the mempool, confirmed; reverted and confirmed again; directly in a block.
        payment(detected, 1, None),
        payment(detected, 1, Some(7)),
        payment(detected, 2, Some(7)),
        payment(reverted, 2, Some(7)),
        payment(detected, 2, Some(8)),
        payment(detected, 3, Some(8)),
        // Not confirmed, or not any more.
        payment(detected, 4, None),
        payment(detected, 5, Some(8)),
        payment(reverted, 5, Some(8)),
        // It has a record: it is not final.
        payment(detected, 6, Some(9)),
    ];
    let outpoint = |n| bitcoin::OutPoint::new(txid(n).parse().unwrap(), 5);
    {
        let store = open(&path);
        let entry = |(id, event)| {
            let message = ServerMessage::Notification(Notification {
                event: Event::clone(event),
                timestamp: 1,
                event_id: Some(id),
                watch_seq: None,
            });
            LogEntry::new(id, event, encode(&message).unwrap().into()).unwrap()
        };
        store
            .commit(&Batch {
                events: (1..).zip(&events).map(entry).collect(),
                payments: vec![(outpoint(6), Some(b"its record".to_vec()))],
                ..Batch::default()
            })
            .unwrap();
        let tx = store.db.begin_write().unwrap();
        tx.open_table(format::META)
            .unwrap()
            .insert(format::META_FORMAT, 2)
            .unwrap();
        tx.commit().unwrap();
    }
    for _ in 0..2 {
        let store = open(&path);
        let payments = store.payments().unwrap();
        let restored: Vec<_> = payments.iter().map(|(outpoint, _)| *outpoint).collect();
        assert_eq!(restored, [1, 2, 3, 6].map(outpoint));
        for (n, height) in [(0, 7), (1, 8), (2, 8)] {
            let payment: Payment = serde_json::from_slice(&payments[n].1).unwrap();
            assert_eq!(payment.block_height, Some(height));
        }
        assert_eq!(payments[3].1, b"its record");
        assert_eq!(store.next_event_id().unwrap(), 11);
    }
    // The outputs of payments that are spent are removed by detection, and stay so.
    open(&path)
        .commit(&Batch {
            payments: vec![(outpoint(1), None)],
            ..Batch::default()
        })
        .unwrap();
    assert_eq!(open(&path).payments().unwrap().len(), 3);
}
