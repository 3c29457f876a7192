//! SIGTERM.

use sdk_relay_client::protocol::{API_VERSION, ClientMessage, Handshake, ServerMessage};
use sdk_relay_client::{Disconnect, RawClient};
use serde_json::json;
use testkit::{RelayProcess, http_post};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::outages::options;
use crate::story::listener::Listener;

#[tokio::test]
async fn clients_are_notified_and_no_event_is_lost() {
    let mut relay = RelayProcess::start(options().arg("--standalone").fixed_ports()).await;
    let mine = format!("{}/dev/mine", relay.http_url());
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(shaken_hands(&relay).await);
    }
    // They could delay the shutdown: one that reads nothing, one without a handshake, one without a request.
    let mut unread = shaken_hands(&relay).await;
    let silent = RawClient::connect(&relay.ws_url()).await.unwrap();
    let mut half = TcpStream::connect(relay.http_url().replace("http://", ""))
        .await
        .unwrap();
    half.write_all(b"GET /health HT").await.unwrap();

    assert_eq!(http_post(&mine, &json!({"blocks": 1000})).await.status, 200);
    let status = relay.terminate().await;
    assert_eq!(status.code(), Some(0), "{}", relay.stderr());
    let mut received = Vec::new();
    for client in &mut clients {
        let (events, end) = until_the_end(client).await;
        assert!(matches!(end, Disconnect::Closed { code: 1001, .. }), "{end}");
        received.push(events);
    }
    // Events sent before the shutdown are in the log, and the log is intact.
    relay.start_again().await;
    let listener = Listener::start(relay.ws_url());
    testkit::eventually(crate::outages::DEADLINE, "the whole log", async || {
        listener.check();
        (listener.received().len() == 2000).then_some(())
    })
    .await;
    let log: Vec<_> = listener.received().into_iter().map(|n| n.event_id).collect();
    assert_eq!(log, (1..=2000).map(Some).collect::<Vec<_>>());
    for events in received {
        assert_eq!(events, log[..events.len()], "a beginning of the log");
    }
    drop((silent, half, unread.next().await));
}

async fn shaken_hands(relay: &RelayProcess) -> RawClient {
    let mut client = RawClient::connect(&relay.ws_url()).await.unwrap();
    let handshake = Handshake {
        client_id: "app".to_owned(),
        version: API_VERSION.to_owned(),
        capabilities: vec!["notifications".to_owned(), "tweaks".to_owned()],
        ..Handshake::default()
    };
    client.send(&ClientMessage::Handshake(handshake)).await.unwrap();
    let answer = client.next_message().await.unwrap();
    assert!(matches!(answer, ServerMessage::HandshakeResponse(_)), "{answer:?}");
    client
}

async fn until_the_end(client: &mut RawClient) -> (Vec<Option<u64>>, Disconnect) {
    let mut events = Vec::new();
    loop {
        match client.next_message().await {
            Ok(ServerMessage::Notification(notification)) => events.push(notification.event_id),
            Ok(other) => panic!("a notification, not {other:?}"),
            Err(end) => return (events, end),
        }
    }
}
