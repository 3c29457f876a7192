//! What happens when the connection ends, and when the app is slow.

use std::time::Duration;

use crate::fake::*;
use futures_util::SinkExt;
use sdk_relay_client::defaults::{EVENT_QUEUE, SILENCE};
use sdk_relay_client::protocol::*;
use sdk_relay_client::{Client, ClientBuilder, ClientEvent, Disconnect, Events, RequestError};
use tokio::time::timeout;
use tokio_websockets::Message;

async fn connected(relay: &FakeRelay, last_event_id: u64) -> (Client, Events, Link) {
    connected_as(Client::builder(&relay.url()), relay, last_event_id).await
}

async fn connected_as(builder: ClientBuilder, relay: &FakeRelay, last_event_id: u64) -> (Client, Events, Link) {
    let (connected, (link, _)) = tokio::join!(builder.connect(), relay.welcome(last_event_id, None));
    let (client, events) = connected.unwrap();
    (client, events, link)
}

async fn event_id(events: &mut Events) -> Option<u64> {
    match soon(events.recv()).await.unwrap() {
        ClientEvent::Notification(n) => n.event_id,
        other => panic!("not a notification: {other:?}"),
    }
}

#[tokio::test]
async fn resumes_after_the_last_event_and_repeats_none() {
    let relay = FakeRelay::bind().await;
    let (client, mut events, mut link) = connected(&relay, 0).await;
    link.say(block(1)).await;
    link.say(block(2)).await;
    link.close(1012).await;

    let (mut link, handshake) = relay.welcome(3, Some(Resume::Complete)).await;
    assert_eq!(handshake.resume_from, Some(2));
    assert_eq!(handshake.capabilities, ["notifications"]);
    for id in [1, 2, 3] {
        link.say(block(id)).await;
    }

    assert_eq!(event_id(&mut events).await, Some(1));
    assert_eq!(client.last_event_id(), 1);
    assert_eq!(event_id(&mut events).await, Some(2));
    match soon(events.recv()).await.unwrap() {
        ClientEvent::Disconnected { reason, .. } => assert_eq!(reason.code(), Some(1012)),
        other => panic!("{other:?}"),
    }
    let back = soon(events.recv()).await.unwrap();
    assert!(
        matches!(
            back,
            ClientEvent::Reconnected {
                resume: Resume::Complete,
                ..
            }
        ),
        "{back:?}"
    );
    assert_eq!(event_id(&mut events).await, Some(3));
    assert_eq!(client.last_event_id(), 3);
}

/// Of a newer relay.
#[tokio::test]
async fn notifications_and_messages_of_unknown_types_are_ignored() {
    let relay = FakeRelay::bind().await;
    let (client, mut events, mut link) = connected(&relay, 0).await;
    link.say(block(1)).await;
    for text in [
        r#"{"type":"notification","notification_type":"of_the_future","data":{"txid":"aa"},"timestamp":1,"event_id":2}"#,
        r#"{"type":"of_the_future","timestamp":1}"#,
    ] {
        soon(link.socket.send(Message::text(text))).await.unwrap();
    }
    link.say(block(3)).await;
    assert_eq!(event_id(&mut events).await, Some(1));
    assert_eq!(event_id(&mut events).await, Some(3));
    assert_eq!(client.last_event_id(), 3);
}

#[tokio::test]
async fn a_loss_without_a_close_and_a_gap_are_reported() {
    let relay = FakeRelay::bind().await;
    let (_client, mut events, link) = connected(&relay, 10).await;
    drop(link);
    let (mut link, handshake) = relay.welcome(90, Some(Resume::Gap)).await;
    // Nothing came on the first connection: what happened since then is still wanted.
    assert_eq!(handshake.resume_from, Some(10));
    link.say(block(80)).await;
    let lost = soon(events.recv()).await.unwrap();
    assert!(
        matches!(
            lost,
            ClientEvent::Disconnected {
                reason: Disconnect::Lost(_),
                ..
            }
        ),
        "{lost:?}"
    );
    let back = soon(events.recv()).await.unwrap();
    assert!(
        matches!(
            back,
            ClientEvent::Reconnected {
                resume: Resume::Gap,
                ..
            }
        ),
        "{back:?}"
    );
    assert_eq!(event_id(&mut events).await, Some(80));
}

#[tokio::test]
async fn a_relay_that_lost_its_log_is_a_gap_and_its_events_are_received() {
    let relay = FakeRelay::bind().await;
    let (client, mut events, mut link) = connected(&relay, 10).await;
    link.say(block(11)).await;
    assert_eq!(event_id(&mut events).await, Some(11));
    link.close(1001).await;
    let (mut link, _) = relay.welcome(2, Some(Resume::Complete)).await;
    link.say(block(3)).await;
    assert!(matches!(
        soon(events.recv()).await,
        Some(ClientEvent::Disconnected { .. })
    ));
    let back = soon(events.recv()).await.unwrap();
    assert!(
        matches!(
            back,
            ClientEvent::Reconnected {
                resume: Resume::Gap,
                ..
            }
        ),
        "{back:?}"
    );
    assert_eq!(client.last_event_id(), 2);
    assert_eq!(event_id(&mut events).await, Some(3));
}

#[tokio::test]
async fn after_a_gap_watches_scan_again_below_the_last_block() {
    // The disconnect of block 1 makes block 0 the last one.
    for (resume, from) in [(Resume::Complete, 1), (Resume::Gap, 0)] {
        let relay = FakeRelay::bind().await;
        let (client, _events, mut link) = connected(&relay, 0).await;
        let talk = async {
            let watch = link.next().await;
            link.say(watching(&watch, "w1")).await;
            link.say(block(1)).await;
        };
        let (registered, ()) = tokio::join!(client.watch(keys()), talk);
        registered.unwrap();
        link.close(1012).await;
        let (mut link, _) = relay.welcome(1, Some(resume)).await;
        match link.next().await {
            ClientMessage::Watch(watch) => assert_eq!(watch.from_height, Some(from), "{resume:?}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn topics_and_watches_are_restored() {
    let relay = FakeRelay::bind().await;
    let builder = Client::builder(&relay.url()).topics([Topic::Notifications, Topic::Sync]);
    let (client, mut events, mut link) = connected_as(builder, &relay, 0).await;
    let talk = async {
        let watch = link.next().await;
        link.say(watching(&watch, "w1")).await;
        let watch = link.next().await;
        link.say(watching(&watch, "w2")).await;
        link.next().await;
        link.say(ServerMessage::UnsubscribeResponse(SubscribeResponse {
            status: "unsubscribed".into(),
            subscriptions: vec![Topic::Tweaks],
            relay_id: "fake".into(),
            timestamp: 1,
        }))
        .await;
    };
    let ask = async {
        assert_eq!(client.watch(keys()).await.unwrap().watch_id, "w1");
        assert_eq!(client.watch(keys()).await.unwrap().watch_id, "w2");
        client.unsubscribe([Topic::Notifications, Topic::Sync]).await.unwrap();
    };
    tokio::join!(talk, ask);
    link.close(1012).await;

    let (mut link, handshake) = relay.welcome(0, Some(Resume::Complete)).await;
    // `sync` stays as the right to ask; its topic is taken out again.
    assert_eq!(handshake.capabilities, ["sync", "tweaks"]);
    let (first, second) = (link.next().await, link.next().await);
    match link.next().await {
        ClientMessage::Unsubscribe(u) => assert_eq!(u.subscriptions, [Topic::Sync]),
        other => panic!("{other:?}"),
    }
    // The names have changed hands, and the second is refused.
    link.say(watching(&first, "w2")).await;
    link.say(payment("w2")).await;
    let ClientMessage::Watch(second) = second else {
        panic!("not a watch")
    };
    link.say(error(ErrorCode::RateLimited, second.message_id)).await;

    assert!(matches!(
        soon(events.recv()).await,
        Some(ClientEvent::Disconnected { .. })
    ));
    assert!(matches!(
        soon(events.recv()).await,
        Some(ClientEvent::Reconnected { .. })
    ));
    match soon(events.recv()).await.unwrap() {
        ClientEvent::Notification(n) => match n.event {
            Event::PaymentDetected(p) => assert_eq!(p.watch_id.as_deref(), Some("w1")),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    let lost = soon(events.recv()).await.unwrap();
    assert!(
        matches!(&lost, ClientEvent::WatchLost { watch_id, .. } if watch_id == "w2"),
        "{lost:?}"
    );

    let (_, unwatch) = tokio::join!(timeout(Duration::from_millis(1), client.unwatch("w1")), link.next());
    assert!(matches!(unwatch, ClientMessage::Unwatch(u) if u.watch_id == "w2"));
}

#[tokio::test]
async fn a_request_in_flight_fails_and_one_during_the_reconnect_waits() {
    let relay = FakeRelay::bind().await;
    let (client, mut events, mut link) = connected(&relay, 0).await;
    let (ping, ()) = tokio::join!(client.ping(), async {
        link.next().await;
        drop(link);
    });
    assert_eq!(ping, Err(RequestError::Disconnected { request: "ping" }));
    assert!(matches!(
        soon(events.recv()).await,
        Some(ClientEvent::Disconnected { .. })
    ));
    let (ping, _link) = tokio::join!(client.ping(), async {
        let (mut link, _) = relay.welcome(0, Some(Resume::Complete)).await;
        link.next().await;
        let pong = Pong {
            relay_id: "fake".into(),
            timestamp: 1,
        };
        link.say(ServerMessage::Pong(pong)).await;
        link
    });
    ping.unwrap();
}

#[tokio::test]
async fn tries_until_the_relay_is_back_and_stops_when_it_is_refused() {
    let relay = FakeRelay::bind().await;
    let (client, mut events, mut link) = connected(&relay, 0).await;
    link.close(1012).await;
    // Twice the relay accepts the connection and lets it fall; the third time it says no.
    relay.accept().await.close(1013).await;
    drop(relay.accept().await);
    let mut link = relay.accept().await;
    link.next().await;
    link.say(response(HandshakeStatus::Rejected, 0, None)).await;
    assert!(matches!(
        soon(events.recv()).await,
        Some(ClientEvent::Disconnected { .. })
    ));
    let end = soon(events.recv()).await.unwrap();
    assert!(matches!(&end, ClientEvent::Closed { reason: Disconnect::Refused(why) } if why.contains("not today")));
    assert_eq!(soon(events.recv()).await, None);
    assert_eq!(client.ping().await, Err(RequestError::Closed));
}

#[tokio::test]
async fn does_not_reconnect_if_disabled_or_unauthorized() {
    for (reconnect, code) in [(false, 1012), (true, 1008)] {
        let relay = FakeRelay::bind().await;
        let builder = Client::builder(&relay.url()).reconnect(reconnect);
        let (_client, mut events, mut link) = connected_as(builder, &relay, 0).await;
        link.close(code).await;
        match soon(events.recv()).await.unwrap() {
            ClientEvent::Closed { reason } => assert_eq!(reason.code(), Some(code)),
            other => panic!("{other:?}"),
        }
        assert_eq!(soon(events.recv()).await, None);
    }
}

#[tokio::test]
async fn a_silent_relay_is_disconnected() {
    let relay = FakeRelay::bind().await;
    let (_client, mut events, _link) = connected(&relay, 0).await;
    // Nothing else happens in this runtime: the clock runs to the next timer, which is the one for the silence.
    tokio::time::pause();
    match events.recv().await.unwrap() {
        ClientEvent::Disconnected { reason, .. } => assert_eq!(reason, Disconnect::Silent(SILENCE)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_slow_app_stops_the_relay_and_loses_nothing() {
    /// Far more than the queue and all buffers between hold.
    const TOO_MANY: u64 = 1_000_000;
    let relay = FakeRelay::bind().await;
    let (client, mut events, mut link) = connected(&relay, 0).await;
    let mut sent = 0;
    while sent < TOO_MANY {
        sent += 1;
        let text = encode_text(&block(sent)).unwrap();
        let send = link.socket.send(Message::text(text));
        if timeout(Duration::from_secs(1), send).await.is_err() {
            break;
        }
    }
    assert!(sent > EVENT_QUEUE as u64 && sent < TOO_MANY, "{sent} were sent");
    // Requests leave while nothing is read; their answers wait behind the events.
    let pinging = client.clone();
    let ping = tokio::spawn(async move { pinging.ping().await });
    assert!(matches!(link.next().await, ClientMessage::Ping(_)));
    let relay_side = tokio::spawn(async move {
        let pong = Pong {
            relay_id: "fake".into(),
            timestamp: 1,
        };
        link.say(ServerMessage::Pong(pong)).await;
        link
    });
    for id in 1..=sent {
        assert_eq!(event_id(&mut events).await, Some(id));
    }
    ping.await.unwrap().unwrap();
    relay_side.await.unwrap();
}

#[tokio::test]
async fn without_events_requests_continue() {
    let relay = FakeRelay::bind().await;
    let (client, events, mut link) = connected(&relay, 0).await;
    drop(events);
    for id in 1..=EVENT_QUEUE as u64 + 10 {
        link.say(block(id)).await;
    }
    let (pong, ()) = tokio::join!(client.ping(), async {
        link.next().await;
        let pong = Pong {
            relay_id: "fake".into(),
            timestamp: 1,
        };
        link.say(ServerMessage::Pong(pong)).await;
    });
    pong.unwrap();
    assert_eq!(client.last_event_id(), 0);
}
