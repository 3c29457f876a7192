use bytes::Bytes;
use sdk_relay_events::Next;
use sdk_relay_protocol::{Topic, Topics};
use sdk_relay_store::{EventKind, LogEntry, Retention, Store};

use super::*;

fn publish(hub: &Hub) {
    let entry = LogEntry {
        id: hub.newest() + 1,
        topic: Topic::Notifications,
        kind: EventKind::Unknown,
        height: None,
        block_hash: None,
        payload: Bytes::from_static(b"{}"),
    };
    hub.publish(vec![entry], None);
}

/// A hub that has published three events.
fn hub(dir: &tempfile::TempDir) -> Arc<Hub> {
    let retention = Retention {
        events: 100,
        bytes: 1 << 20,
    };
    let store = Store::open(&dir.path().join("relay.redb"), "regtest", retention).unwrap();
    let hub = Arc::new(Hub::new(Arc::new(store)).unwrap());
    for _ in 0..3 {
        publish(&hub);
    }
    hub
}

/// The first event that a client receives from this position.
async fn first(hub: &Arc<Hub>, position: &mut LogPosition) -> Option<u64> {
    let topics = Topics::from_iter([Topic::Notifications]);
    match hub.next(&mut position.cursor, topics).await.unwrap() {
        Next::Frames(frames) => frames.first().and_then(sdk_relay_events::Frame::event_id),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn no_event_is_between_the_reported_id_and_the_first_event_of_a_live_client() {
    let dir = tempfile::tempdir().unwrap();
    let hub = hub(&dir);
    let mut position = Begin::Now.position(&hub).await.unwrap();
    // An event between the choice of the position and the response.
    publish(&hub);
    let reported = position.last_event_id(hub.newest());
    assert_eq!((reported, first(&hub, &mut position).await), (3, Some(4)));
}

#[tokio::test]
async fn a_client_that_resumes_learns_the_newest_event() {
    let dir = tempfile::tempdir().unwrap();
    let hub = hub(&dir);
    let mut position = Begin::After(1).position(&hub).await.unwrap();
    publish(&hub);
    assert_eq!(position.last_event_id(hub.newest()), 4);
    assert_eq!(
        (position.resume, first(&hub, &mut position).await),
        (Some(Resume::Complete), Some(2))
    );
}
