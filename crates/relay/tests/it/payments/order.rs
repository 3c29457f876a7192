//! A client receives the payments of its watches in a block before the block, however slowly it reads.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bitcoin::Amount;
use futures_util::{SinkExt, StreamExt};
use sdk_relay::relay::Relay;
use sdk_relay_client::protocol::{ClientMessage, CloseCode, Handshake, ServerMessage, encode_text};
use sdk_relay_client::{Event, Notification};
use sdk_relay_config::{Loader, Overrides};
use sdk_relay_telemetry::LogTap;
use sdk_relay_transport::{Admission, ClientAddress, FinalWrites};
use sdk_relay_ws::{Arrival, serve};
use testkit::{Payee, eventually};
use tokio::io::DuplexStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_websockets::{ClientBuilder, Message, WebSocketStream};

use crate::support::DEADLINE;
use crate::support::recorder::watch_of;

/// Capacity of the connection: less than a message, so that the relay cannot send ahead.
const ON_THE_WAY: usize = 64;

/// In each round, a random order would be wrong with a probability of one half.
const ROUNDS: u32 = 20;

/// Two blocks, an unconfirmed payment, and its confirmation.
const PER_ROUND: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_payment_is_sent_before_the_event_of_its_block() {
    let dir = tempfile::tempdir().unwrap();
    let ports = "ws_url = \"127.0.0.1:0\"\nhttp_url = \"127.0.0.1:0\"\n";
    std::fs::write(dir.path().join("sdk_relay.toml"), ports).unwrap();
    let overrides = Overrides::default().with_data_dir(dir.path()).with_standalone();
    let loader = Loader::new(overrides);
    let config = loader.load().unwrap();
    let relay = Relay::start(loader, config, LogTap::default()).await.unwrap();
    relay.status().ready().await;
    let traffic = Arc::clone(&relay.websockets().traffic);
    let detection = Arc::clone(relay.detection_metrics());
    let (ours, theirs) = tokio::io::duplex(ON_THE_WAY);
    let client = ClientAddress::direct(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
    let permit = Admission::new(1, 1).admit(client.ip()).expect("a place");
    let (_ending, ends) = watch::channel(None);
    let arrival = Arrival {
        client,
        permit: Some(permit),
        authorized: true,
        final_writes: FinalWrites::default(),
    };
    let serving = tokio::spawn(serve(Arc::clone(relay.websockets()), theirs, arrival, ends));

    let payee = Payee::new(&[]);
    let mut client = ClientBuilder::new().take_over(ours);
    let handshake = Handshake {
        client_id: "slow".to_owned(),
        version: "1.0.0".to_owned(),
        capabilities: vec!["notifications".to_owned()],
        ..Handshake::default()
    };
    say(&mut client, &ClientMessage::Handshake(handshake)).await;
    receive(&mut client).await;
    say(&mut client, &ClientMessage::Watch(watch_of(&payee))).await;
    receive(&mut client).await;

    let hub = Arc::clone(&relay.websockets().hub);
    let dev = relay.dev().expect("standalone has it");
    for round in 0..ROUNDS {
        // The relay is blocked in the middle of a first block; the next messages wait: the payment and its block.
        let sent = || traffic.notifications_sent.get() + traffic.watching.messages_sent.get();
        // One of them answered the watch.
        let before = 1 + u64::from(round) * PER_ROUND;
        eventually(DEADLINE, "the end of the last round", async || {
            (sent() == before).then_some(())
        })
        .await;
        let first = dev.mine(1).await.unwrap()[0].to_string();
        dev.pay(&payee.address().to_string(), Amount::from_sat(10_000))
            .await
            .unwrap();
        // Mined immediately, it might never be seen in the mempool.
        let seen = || detection.watch_payments_detected.get();
        let mempool = u64::from(round) * 2 + 1;
        eventually(DEADLINE, "the payment in the mempool", async || {
            (seen() == mempool).then_some(())
        })
        .await;
        let block = dev.mine(1).await.unwrap()[0].to_string();
        eventually(DEADLINE, "detection at the tip", async || {
            let newest = hub.tip().and_then(|height| hub.hash_at(height));
            newest.filter(|hash| hash.to_string() == block)
        })
        .await;
        assert!(sent() < before + PER_ROUND, "the relay waits for its client");

        let mut paid = Vec::new();
        loop {
            let ServerMessage::Notification(Notification { event, .. }) = receive(&mut client).await else {
                panic!("a notification");
            };
            match event {
                Event::PaymentDetected(payment) => paid.push(payment.block_hash),
                Event::BlockMined(mined) if mined.block_hash == block => break,
                Event::BlockMined(mined) => assert_eq!(mined.block_hash, first),
                other => panic!("nothing else happens: {other:?}"),
            }
        }
        assert_eq!(paid, [None, Some(block)], "round {round}");
    }
    drop(client);
    timeout(DEADLINE, serving).await.expect("the connection's end").unwrap();
    relay.shut_down(CloseCode::GoingAway).await;
}

async fn say(client: &mut WebSocketStream<DuplexStream>, message: &ClientMessage) {
    let text = encode_text(message).unwrap();
    let sent = timeout(DEADLINE, client.send(Message::text(text))).await;
    sent.expect("the relay reads").unwrap();
}

/// The next message.
async fn receive(client: &mut WebSocketStream<DuplexStream>) -> ServerMessage {
    loop {
        let message = timeout(DEADLINE, client.next()).await.expect("a message in time");
        let message = message.expect("the relay is there").unwrap();
        if let Some(text) = message.as_text() {
            return serde_json::from_str(text).unwrap_or_else(|e| panic!("no message ({e}): {text}"));
        }
    }
}
