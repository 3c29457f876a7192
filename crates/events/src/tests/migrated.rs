//! A log of version 0.1: clients receive the same messages, byte for byte.

use sdk_relay_protocol::{Event, LARGEST_MESSAGE, Notification, ServerMessage};
use sdk_relay_store::Store;
use sdk_relay_store::testing::Format1;
use sdk_relay_store::testing::conformance::{WIDE, hash};
use serde_json::Value;

use super::*;

struct Migrated {
    file: Format1,
    hub: Arc<Hub>,
    _dir: tempfile::TempDir,
}

impl Migrated {
    fn new(has_hole: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("relay.redb");
        let file = Format1 {
            is_old: !has_hole,
            ..Format1::sample()
        };
        file.write_file(&path);
        let store = Store::open(&path, "regtest", WIDE).unwrap();
        Self {
            file,
            hub: Arc::new(Hub::new(Arc::new(store)).unwrap()),
            _dir: dir,
        }
    }

    /// The messages sent to a client that continues here: the id of each message for server-sent events, and its text.
    async fn sent(&self, mut cursor: Cursor) -> Vec<(Option<u64>, Bytes)> {
        let topics = [NOTIFICATIONS, Topic::Tweaks].into_iter().collect();
        let mut all = Vec::new();
        loop {
            match self.hub.next(&mut cursor, topics).await.unwrap() {
                Next::Frames(frames) => all.extend(frames.iter().map(|frame| (frame.event_id(), frame.text()))),
                Next::UpToDate => return all,
                Next::Lagged | Next::Hole => panic!("cut off at {cursor:?}"),
            }
        }
    }

    /// The messages of version 0.1 for the events after this one.
    fn sent_by_version_0_1(&self, after: u64) -> Vec<(Option<u64>, Bytes)> {
        let events = self.file.events.iter().filter(|(id, ..)| *id > after);
        events
            .flat_map(|(id, _, payload)| {
                let whole = Bytes::copy_from_slice(payload);
                if payload.len() <= LARGEST_MESSAGE {
                    return vec![(Some(*id), whole)];
                }
                let Notification {
                    event: Event::Tweaks(block),
                    timestamp,
                    event_id,
                    ..
                } = serde_json::from_slice(payload).unwrap()
                else {
                    return vec![(Some(*id), whole)];
                };
                let part = |part: sdk_relay_protocol::Tweaks| {
                    let event_id = event_id.filter(|_| part.part == part.parts);
                    let message = ServerMessage::Notification(Notification {
                        event: Event::Tweaks(part),
                        timestamp,
                        event_id,
                        watch_seq: None,
                    });
                    (event_id, Frame::encode(&message).text())
                };
                block.into_parts().into_iter().map(part).collect()
            })
            .collect()
    }
}

#[tokio::test]
async fn clients_that_resume_get_the_same_messages_byte_for_byte() {
    for has_hole in [false, true] {
        let log = Migrated::new(has_hole);
        let complete_from = if has_hole {
            Format1::HOLE_BEFORE
        } else {
            Format1::FIRST - 1
        };
        for from in [0, Format1::FIRST - 1, 44, 46, 48, 51, 52] {
            let (cursor, resume) = log.hub.resume(from).unwrap();
            let expected = log.sent_by_version_0_1(cursor.after());
            assert_eq!(log.sent(cursor).await, expected, "after {from}");
            let is_complete = from >= complete_from;
            assert_eq!(resume == Resume::Complete, is_complete, "after {from}");
        }
    }
}

#[tokio::test]
async fn clients_resume_by_the_hash_of_a_block() {
    let log = Migrated::new(true);
    let (cursor, resume) = log.hub.resume_after(&[hash(1), hash(50)]).unwrap();
    assert_eq!((cursor.after(), resume), (51, Resume::Complete));
    assert_eq!(log.sent(cursor).await, log.sent_by_version_0_1(51));
    // No longer in the chain.
    let (cursor, resume) = log.hub.resume_after(&[hash(8)]).unwrap();
    assert_eq!((cursor.after(), resume), (52, Resume::Gap));
    assert_eq!(log.hub.settled_as_of(44).unwrap(), Some(7));
}

/// A log from before the split into parts.
#[tokio::test]
async fn a_block_that_is_longer_than_a_message_is_sent_in_parts() {
    let log = Migrated::new(false);
    let entries = log
        .file
        .events
        .iter()
        .filter(|(_, _, payload)| payload.len() > LARGEST_MESSAGE);
    let [(id, ..)] = entries.collect::<Vec<_>>()[..] else {
        panic!("one")
    };
    let sent = log.sent(log.hub.resume(*id - 1).unwrap().0).await;
    assert!(sent.iter().all(|(_, text)| text.len() <= LARGEST_MESSAGE));
    let last = sent.iter().position(|(sent_id, _)| sent_id.is_some()).unwrap();
    let parts = &sent[..=last];
    assert!(parts.len() >= 3);
    let mut outputs = 0;
    for (n, (event_id, text)) in (1..).zip(parts) {
        let message: Value = serde_json::from_slice(text).unwrap();
        let data = &message["data"];
        assert_eq!((&data["part"], &data["parts"]), (&n.into(), &parts.len().into()));
        let expected = (n == parts.len()).then_some(*id);
        assert_eq!(
            *event_id, expected,
            "resuming from a part returns the whole block again"
        );
        assert_eq!(message["event_id"], Value::from(expected));
        outputs += data["transactions"][0]["outputs"].as_array().unwrap().len();
    }
    assert_eq!(outputs, 10_000);
}
