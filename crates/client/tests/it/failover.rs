//! What a client does when its relay is away and there are others.

use crate::fake::*;
use sdk_relay_client::protocol::*;
use sdk_relay_client::{Client, ClientBuilder, ClientEvent, Events};

/// A relay's answer, with what the test changes of it.
fn welcome(change: impl FnOnce(&mut HandshakeResponse)) -> ServerMessage {
    let ServerMessage::HandshakeResponse(mut response) = response(HandshakeStatus::Accepted, 7, None) else {
        panic!("a handshake response")
    };
    change(&mut response);
    ServerMessage::HandshakeResponse(response)
}

/// The next client's handshake, answered.
async fn greet(relay: &FakeRelay, answer: ServerMessage) -> (Link, Handshake) {
    let mut link = relay.accept().await;
    let ClientMessage::Handshake(handshake) = link.next().await else {
        panic!("not a handshake")
    };
    link.say(answer).await;
    (link, handshake)
}

/// A client of `first`, which has announced `others` and then ends permanently.
async fn left_alone(builder: ClientBuilder, first: FakeRelay, others: &[&FakeRelay]) -> (Client, Events) {
    let relays = others.iter().map(|o| OtherRelay {
        relay_id: "other".to_owned(),
        url: o.url(),
    });
    let answer = welcome(|r| r.relays = relays.collect());
    let (connected, (mut link, _)) = tokio::join!(builder.connect(), greet(&first, answer));
    for (height, id) in [(1, 8), (2, 9), (3, 10)] {
        link.say(mined(height, &hash(height, 'a'), id)).await;
    }
    let (client, mut events) = connected.unwrap();
    for _ in 0..3 {
        soon(events.recv()).await.unwrap();
    }
    drop((link, first));
    (client, events)
}

fn hash(height: u32, branch: char) -> String {
    format!("{branch}{height:063}")
}

fn mined(block_height: u32, block_hash: &str, event_id: u64) -> ServerMessage {
    let event = Event::BlockMined(BlockMined {
        block_height,
        block_hash: block_hash.into(),
        transactions: 1,
        size: 1,
        timestamp: 1,
        difficulty: 1.0,
        merkle_root: "00".into(),
    });
    ServerMessage::Notification(Notification {
        event,
        timestamp: 1,
        event_id: Some(event_id),
        watch_seq: None,
    })
}

/// The next event in a word.
async fn next(events: &mut Events) -> String {
    match soon(events.recv()).await.unwrap() {
        ClientEvent::Notification(n) => match n.event {
            Event::BlockMined(b) => format!(
                "+{}",
                b.block_hash.trim_start_matches(['a', 'b']).trim_start_matches('0')
            ),
            Event::BlockDisconnected(b) => format!("-{}", b.block_height),
            other => panic!("{other:?}"),
        },
        ClientEvent::Disconnected { .. } => "disconnected".to_owned(),
        ClientEvent::Reconnected { resume, .. } => format!("{resume:?}"),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn fails_over_to_another_relay_and_repeats_nothing() {
    let (first, second) = (FakeRelay::bind().await, FakeRelay::bind().await);
    let builder = Client::builder(&first.url()).token("s3cret");
    let (client, mut events) = left_alone(builder, first, &[&second]).await;
    let answer = welcome(|r| {
        (r.resume, r.resumed_after, r.last_event_id) = (Some(Resume::Complete), Some(100), 103);
    });
    let (mut link, handshake) = greet(&second, answer).await;
    let newest_first = [3, 2, 1].map(|height| hash(height, 'a'));
    assert_eq!(
        (handshake.resume_from, handshake.resume_after),
        (None, newest_first.to_vec())
    );
    assert!(
        handshake.token.is_none(),
        "a token is for the relays that the app has named"
    );
    // It was one block behind, and its chain is another from there on.
    link.say(mined(3, &hash(3, 'b'), 101)).await;
    link.say(mined(4, &hash(4, 'b'), 102)).await;
    for expected in ["disconnected", "Complete", "-3", "+3", "+4"] {
        assert_eq!(next(&mut events).await, expected);
    }
    assert_eq!(client.last_event_id(), 102);
    // From now on it is this relay's log.
    drop(link);
    let (mut link, handshake) = greet(
        &second,
        welcome(|r| (r.resume, r.last_event_id) = (Some(Resume::Complete), 103)),
    )
    .await;
    assert_eq!((handshake.resume_from, handshake.resume_after.len()), (Some(102), 0));
    link.say(mined(5, &hash(5, 'b'), 103)).await;
    for expected in ["disconnected", "Complete", "+5"] {
        assert_eq!(next(&mut events).await, expected);
    }
}

#[tokio::test]
async fn events_reported_by_another_relay_are_not_repeated() {
    let (first, second) = (FakeRelay::bind().await, FakeRelay::bind().await);
    let (_client, mut events) = left_alone(Client::builder(&first.url()), first, &[&second]).await;
    let answer = welcome(|r| (r.resume, r.resumed_after, r.last_event_id) = (Some(Resume::Complete), Some(1), 9));
    let (mut link, _) = greet(&second, answer).await;
    for height in [2, 3, 4] {
        link.say(mined(height, &hash(height, 'a'), height.into())).await;
    }
    for expected in ["disconnected", "Complete", "+4"] {
        assert_eq!(next(&mut events).await, expected);
    }
}

#[tokio::test]
async fn a_scan_key_is_sent_only_to_relays_named_by_the_app() {
    let (first, listed, named) = (
        FakeRelay::bind().await,
        FakeRelay::bind().await,
        FakeRelay::bind().await,
    );
    let builder = Client::builder(&first.url()).token("s3cret").others([named.url()]);
    let relays = vec![OtherRelay {
        relay_id: "listed".into(),
        url: listed.url(),
    }];
    let (connected, (mut link, _)) = tokio::join!(builder.connect(), greet(&first, welcome(|r| r.relays = relays)));
    let (client, mut events) = connected.unwrap();
    let (watched, ()) = tokio::join!(client.watch(keys()), async {
        let request = link.next().await;
        link.say(watching(&request, "watch-1")).await;
    });
    assert_eq!(watched.unwrap().watch_id, "watch-1");
    link.say(mined(3, &hash(3, 'a'), 8)).await;
    assert_eq!(next(&mut events).await, "+3");
    drop((link, first));

    let (mut link, handshake) = greet(&named, welcome(|r| r.resume = Some(Resume::Gap))).await;
    assert!(handshake.token.is_some());
    let second = link.next().await;
    let ClientMessage::Watch(watch) = &second else {
        panic!("{second:?}")
    };
    let from = watch.from_height;
    assert_eq!(from, Some(0), "after a gap what may have been replaced is history too");
    // It has no index.
    link.say(error(ErrorCode::Unavailable, watch.message_id.clone())).await;
    let plain = link.next().await;
    let ClientMessage::Watch(watch) = &plain else {
        panic!("{plain:?}")
    };
    assert_eq!(watch.from_height, None);
    link.say(watching(&plain, "watch-9")).await;
    for expected in ["disconnected", "Gap"] {
        assert_eq!(next(&mut events).await, expected);
    }
    let gap = next(&mut events).await;
    assert!(gap.contains("WatchGap") && gap.contains("watch-1"), "{gap}");
    link.say(payment("watch-9")).await;
    let Some(ClientEvent::Notification(n)) = soon(events.recv()).await else {
        panic!("a payment")
    };
    let Event::PaymentDetected(payment) = n.event else {
        panic!("a payment")
    };
    assert_eq!(payment.watch_id.as_deref(), Some("watch-1"));
    assert!(
        !listed.has_visitor().await,
        "a relay that was only listed was contacted"
    );
}

#[tokio::test]
async fn a_relay_of_another_network_is_skipped() {
    let [first, mainnet, second] = [
        FakeRelay::bind().await,
        FakeRelay::bind().await,
        FakeRelay::bind().await,
    ];
    let (client, mut events) = left_alone(Client::builder(&first.url()), first, &[&mainnet, &second]).await;
    let _wrong = greet(&mainnet, welcome(|r| r.network = "mainnet".into())).await;
    let _right = greet(&second, welcome(|r| r.relay_id = "second".into())).await;
    for expected in ["disconnected", "Gap"] {
        assert_eq!(next(&mut events).await, expected);
    }
    assert_eq!(client.relay().relay_id, "second");
}
