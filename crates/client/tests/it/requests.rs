//! Handshakes, requests and their answers.

use crate::fake::*;
use sdk_relay_client::protocol::*;
use sdk_relay_client::{Client, ClientEvent, ConnectError, Disconnect, RawClient, RequestError};
use tokio::net::TcpListener;

async fn connected() -> (Client, sdk_relay_client::Events, Link) {
    let relay = FakeRelay::bind().await;
    let url = relay.url();
    let (connected, (link, _)) = tokio::join!(Client::builder(&url).connect(), relay.welcome(7, None));
    let (client, events) = connected.unwrap();
    (client, events, link)
}

#[tokio::test]
async fn the_handshake_identifies_both_sides() {
    let relay = FakeRelay::bind().await;
    let url = relay.url();
    let builder = Client::builder(&url)
        .client_id("app")
        .topics([Topic::Health, Topic::Sync])
        .resume_from(Some(3));
    let (connected, (_link, handshake)) = tokio::join!(builder.connect(), relay.welcome(7, Some(Resume::Gap)));
    assert_eq!(handshake.client_id, "app");
    assert_eq!(handshake.version, API_VERSION);
    assert_eq!(handshake.capabilities, ["health", "sync"]);
    assert_eq!(handshake.resume_from, Some(3));
    let (client, _events) = connected.unwrap();
    assert_eq!(client.relay().network, "regtest");
    assert_eq!(client.relay().resume, Some(Resume::Gap));
    assert_eq!(client.last_event_id(), 3);
}

#[tokio::test]
async fn without_a_position_it_starts_at_the_end_of_the_log() {
    let (client, _events, _link) = connected().await;
    assert_eq!(client.last_event_id(), 7);
}

#[tokio::test]
async fn a_refused_handshake_has_its_reason() {
    let relay = FakeRelay::bind().await;
    let url = relay.url();
    let refuse = async {
        let mut link = relay.accept().await;
        link.next().await;
        link.say(response(HandshakeStatus::Rejected, 0, None)).await;
    };
    let (connected, ()) = tokio::join!(Client::builder(&url).version("2.0.0").connect(), refuse);
    let error = connected.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Rejected { reason } if reason == "not today"),
        "{error}"
    );
    assert!(!error.is_temporary());
}

#[tokio::test]
async fn a_close_instead_of_an_answer_has_its_code() {
    let relay = FakeRelay::bind().await;
    let url = relay.url();
    let refuse = async { relay.accept().await.close(1013).await };
    let (connected, ()) = tokio::join!(Client::builder(&url).connect(), refuse);
    match connected.unwrap_err() {
        ConnectError::Ended(reason) => assert_eq!(reason.code(), Some(1013)),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_unreachable_relay_and_another_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let answer = async {
        use tokio::io::AsyncWriteExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
        stream
    };
    let (connected, _stream) = tokio::join!(Client::builder(&url).connect(), answer);
    assert!(matches!(connected.unwrap_err(), ConnectError::NotWebSocket { .. }));
    drop(listener);
    let error = Client::builder(&url).connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn every_request_gets_its_own_answer() {
    let (client, mut events, mut link) = connected().await;
    let relay = tokio::spawn(async move {
        let ClientMessage::Sync(first) = link.next().await else {
            panic!("not a sync")
        };
        let ClientMessage::Sync(second) = link.next().await else {
            panic!("not a sync")
        };
        assert_ne!(first.message_id, second.message_id);
        // Answers in the other order, with a notification between them.
        link.say(sync_response(&second)).await;
        link.say(block(8)).await;
        link.say(sync_response(&first)).await;
        assert!(matches!(link.next().await, ClientMessage::Ping(_)));
        link.say(error(ErrorCode::RateLimited, None)).await;
        let ClientMessage::Subscribe(subscribe) = link.next().await else {
            panic!("not a subscribe")
        };
        link.say(ServerMessage::SubscribeResponse(SubscribeResponse {
            status: "subscribed".into(),
            subscriptions: [vec![Topic::Notifications], subscribe.subscriptions].concat(),
            relay_id: "fake".into(),
            timestamp: 1,
        }))
        .await;
        let watch = link.next().await;
        link.say(watching(&watch, "w9")).await;
        let ClientMessage::Unwatch(unwatch) = link.next().await else {
            panic!("not an unwatch")
        };
        link.say(error(ErrorCode::InvalidField, unwatch.message_id)).await;
        // Nobody asked for this one.
        link.say(error(ErrorCode::Internal, None)).await;
        link
    });

    let (first, second) = tokio::join!(client.sync(SyncType::StateSync), client.sync(SyncType::MetricsSync));
    assert_eq!(first.unwrap().sync_type, SyncType::StateSync);
    assert_eq!(second.unwrap().sync_type, SyncType::MetricsSync);
    let refused = client.ping().await.unwrap_err();
    assert!(matches!(
        refused,
        RequestError::Refused {
            request: "ping",
            code: ErrorCode::RateLimited,
            ..
        }
    ));
    let topics = client.subscribe([Topic::Tweaks]).await.unwrap();
    assert_eq!(topics, [Topic::Notifications, Topic::Tweaks]);
    assert_eq!(client.watch(keys()).await.unwrap().watch_id, "w9");
    let refused = client.unwatch("w9").await.unwrap_err();
    assert!(matches!(refused, RequestError::Refused { request: "unwatch", .. }));

    assert!(matches!(soon(events.recv()).await, Some(ClientEvent::Notification(n)) if n.event_id == Some(8)));
    assert_eq!(client.last_event_id(), 8);
    assert!(matches!(soon(events.recv()).await, Some(ClientEvent::Error(e)) if e.code == ErrorCode::Internal));
    relay.await.unwrap();
}

#[tokio::test]
async fn unknown_messages_are_skipped() {
    let (_client, mut events, mut link) = connected().await;
    let text = r#"{"type":"weather","celsius":21}"#;
    futures_util::SinkExt::send(&mut link.socket, tokio_websockets::Message::text(text))
        .await
        .unwrap();
    link.say(block(8)).await;
    assert!(matches!(soon(events.recv()).await, Some(ClientEvent::Notification(_))));
}

#[tokio::test]
async fn the_connection_ends_with_its_last_handle() {
    let (client, mut events, mut link) = connected().await;
    let clone = client.clone();
    drop(client);
    let (pong, ()) = tokio::join!(clone.ping(), async {
        link.next().await;
        let pong = Pong {
            relay_id: "fake".into(),
            timestamp: 1,
        };
        link.say(ServerMessage::Pong(pong)).await;
    });
    pong.unwrap();
    drop(clone);
    assert_eq!(link.closed().await, 1000);
    assert_eq!(soon(events.recv()).await, None);
}

#[tokio::test]
async fn close_returns_when_it_is_closed_and_ends_the_clones() {
    let (client, mut events, mut link) = connected().await;
    let clone = client.clone();
    let ((), code) = tokio::join!(client.close(), link.closed());
    assert_eq!(code, 1000);
    assert_eq!(clone.ping().await, Err(RequestError::Closed));
    assert_eq!(soon(events.recv()).await, None);
}

#[tokio::test]
async fn the_raw_client_sends_anything_and_sees_every_frame() {
    use futures_util::StreamExt;
    let relay = FakeRelay::bind().await;
    let url = relay.url();
    let (raw, mut link) = tokio::join!(RawClient::connect(&url), relay.accept());
    let mut raw = raw.unwrap();
    raw.send_binary([1, 2]).await.unwrap();
    raw.send_text("hello").await.unwrap();
    raw.send_ping(b"p").await.unwrap();
    raw.send_frame(0x81, &[b'x'; 300]).await.unwrap();
    assert!(link.socket.next().await.unwrap().unwrap().is_binary());
    assert_eq!(link.socket.next().await.unwrap().unwrap().as_text(), Some("hello"));
    assert!(link.socket.next().await.unwrap().unwrap().is_ping());
    assert_eq!(link.socket.next().await.unwrap().unwrap().as_text().unwrap().len(), 300);
    link.say(block(1)).await;
    link.close(1003).await;
    assert_eq!(raw.next().await.unwrap(), sdk_relay_client::Frame::Pong(b"p".to_vec()));
    assert_eq!(raw.next_message().await.unwrap(), block(1));
    let closed = raw.next_message().await.unwrap_err();
    assert_eq!(closed.code(), Some(1003));
    assert!(matches!(raw.next().await, Err(Disconnect::Lost(_))));
}

#[tokio::test]
async fn the_raw_client_violates_the_websocket_protocol() {
    use futures_util::StreamExt;
    let relay = FakeRelay::bind().await;
    let url = relay.url();
    let (raw, mut link) = tokio::join!(RawClient::connect(&url), relay.accept());
    let mut raw = raw.unwrap();
    // A text that is no UTF-8.
    raw.send_frame(0x81, &[0xff, 0xfe]).await.unwrap();
    link.socket.next().await.unwrap().unwrap_err();
    let (frame, _) = tokio::join!(raw.next(), link.socket.next());
    assert!(matches!(frame.unwrap(), sdk_relay_client::Frame::Close(1007, _)));
}

fn sync_response(request: &Sync) -> ServerMessage {
    ServerMessage::SyncResponse(SyncResponse {
        sync_type: request.sync_type,
        relay_id: "fake".into(),
        payload: SyncPayload::Metrics(MetricsPayload {
            metrics: MetricsReport {
                known_relays: 1,
                mesh_connections: 0,
                sync_requests: 1,
                sync_responses: 0,
                cache_hits: 0,
                cache_misses: 1,
                avg_latency: None,
                error_count: 0,
                success_rate: None,
                messages_per_second: 0.0,
            },
        }),
        timestamp: 1,
        message_id: format!("re-{}", request.message_id),
        in_reply_to: request.message_id.clone(),
    })
}
