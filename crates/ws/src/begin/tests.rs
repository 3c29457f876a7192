use sdk_relay_events::Next;
use sdk_relay_protocol::{Topic, Topics};

use super::*;
use crate::testing;
use crate::testing::publish;

/// A hub that has published three events.
fn hub(dir: &tempfile::TempDir) -> Arc<Hub> {
    let hub = testing::hub(dir);
    for _ in 0..3 {
        publish(&hub, None);
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
    publish(&hub, None);
    let reported = position.last_event_id(hub.newest());
    assert_eq!((reported, first(&hub, &mut position).await), (3, Some(4)));
}

#[tokio::test]
async fn a_client_that_resumes_learns_the_newest_event() {
    let dir = tempfile::tempdir().unwrap();
    let hub = hub(&dir);
    let mut position = Begin::After(1).position(&hub).await.unwrap();
    publish(&hub, None);
    assert_eq!(position.last_event_id(hub.newest()), 4);
    assert_eq!(
        (position.resume, first(&hub, &mut position).await),
        (Some(Resume::Complete), Some(2))
    );
}
