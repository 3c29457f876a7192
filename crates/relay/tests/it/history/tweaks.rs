//! The history of the topic `tweaks`: the chain once, followed by live blocks.

use std::collections::HashSet;

use sdk_relay_client::protocol::{API_VERSION, ClientMessage, Handshake, ServerMessage, Subscribe};
use sdk_relay_client::{Event, Frame, RawClient, Topic};
use testkit::{InputKind, Payee, RelayProcess};
use tokio::time::timeout;

use crate::history::order::index_is_current;
use crate::stage::{Stage, silent};
use crate::support::DEADLINE;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_scans_itself_receives_every_block_once() {
    let mut stage = Stage::new().await;
    let payee = Payee::new(&[]);
    let from = stage.node.height().await - 3;
    for kind in InputKind::ALL {
        let tx = stage.payer.pay(&[kind], &[silent(payee.address(), 20_000)]);
        stage.node.mine_with(std::slice::from_ref(&tx)).await;
    }
    let height = stage.node.height().await;
    index_is_current(&stage.relay, height).await;

    let mut raw = scanner(&stage.relay).await;
    // Only this topic has a history.
    raw.send(&history_of(Topic::Notifications, 1)).await.unwrap();
    raw.send(&history_of(Topic::Tweaks, from)).await.unwrap();
    let (mut heights, mut rows, mut refused) = (Vec::new(), 0, 0);
    let mut live_from = None;
    let all = usize::try_from(height + 3 - from + 1).unwrap();
    while heights.len() < all {
        let next = timeout(DEADLINE, raw.next()).await.expect("a message in time").unwrap();
        let Frame::Text(text) = next else { continue };
        match serde_json::from_str(&text).unwrap() {
            ServerMessage::Notification(notification) => {
                let Event::Tweaks(tweaks) = notification.event else {
                    panic!("another topic: {text}")
                };
                if heights.is_empty() {
                    // The end of the history was fixed before its first message: these are live.
                    stage.node.mine(3).await;
                }
                assert_eq!(tweaks.historical, notification.event_id.is_none(), "{text}");
                if !tweaks.historical {
                    live_from.get_or_insert(tweaks.block_height);
                }
                let hash = stage.node.hash_at(tweaks.block_height).await.to_string();
                assert_eq!(tweaks.block_hash, hash);
                rows += tweaks.transactions.len();
                heights.push(tweaks.block_height);
            }
            ServerMessage::Error(error) => {
                assert!(error.message.contains("from_height"), "{error:?}");
                refused += 1;
            }
            _ => {}
        }
    }
    // Live blocks may precede the last of the history; each is sent once.
    heights.sort_unstable();
    assert_eq!(heights, (from..=height + 3).collect::<Vec<_>>());
    assert_eq!((rows, refused), (4, 1));
    assert_eq!(live_from, Some(height + 1));
}

/// A client without topics so far.
async fn scanner(relay: &RelayProcess) -> RawClient {
    let mut raw = RawClient::connect(&relay.ws_url()).await.unwrap();
    let handshake = Handshake {
        client_id: "scanner".to_owned(),
        version: API_VERSION.to_owned(),
        ..Handshake::default()
    };
    raw.send(&ClientMessage::Handshake(handshake)).await.unwrap();
    raw
}

fn history_of(topic: Topic, from: u32) -> ClientMessage {
    ClientMessage::Subscribe(Subscribe {
        subscriptions: vec![topic],
        from_height: Some(from),
        client_id: None,
        timestamp: None,
    })
}

/// Subscribes a client to the history of the topic from this height.
async fn subscribed(relay: &RelayProcess, from: u32) -> RawClient {
    let mut raw = scanner(relay).await;
    raw.send(&history_of(Topic::Tweaks, from)).await.unwrap();
    raw
}

#[tokio::test(flavor = "multi_thread")]
async fn through_reorganisations_no_block_is_sent_twice() {
    let stage = Stage::new().await;
    index_is_current(&stage.relay, stage.node.height().await).await;
    let mut clients = Vec::new();
    for round in 1..=6 {
        let fork = stage.node.hash_at(stage.node.height().await - round).await;
        clients.push(subscribed(&stage.relay, 0).await);
        stage.node.invalidate(fork).await;
        clients.push(subscribed(&stage.relay, 0).await);
        stage.node.mine(round + 2).await;
        clients.push(subscribed(&stage.relay, 0).await);
    }
    let (height, tip) = (stage.node.height().await, stage.node.tip().await.to_string());
    let mut chain = HashSet::new();
    for height in 0..=height {
        chain.insert(stage.node.hash_at(height).await.to_string());
    }
    for mut client in clients {
        let (mut reported, mut of_chain) = (HashSet::new(), 0);
        // Most clients receive the tip live, and not last if the history is still being sent.
        while of_chain < chain.len() {
            let next = timeout(DEADLINE, client.next()).await;
            let next = next.unwrap_or_else(|_| panic!("{of_chain} of {} blocks, the tip {tip}", chain.len()));
            let Frame::Text(text) = next.unwrap() else { continue };
            let ServerMessage::Notification(notification) = serde_json::from_str(&text).unwrap() else {
                continue;
            };
            let Event::Tweaks(tweaks) = notification.event else {
                panic!("another topic: {text}")
            };
            assert!(reported.insert(tweaks.block_hash.clone()), "twice: {text}");
            of_chain += usize::from(chain.contains(&tweaks.block_hash));
        }
    }
}

/// The history from this height up to the block at `last`: the reported missing ranges, and the received heights.
pub(crate) async fn missing_and_scanned(relay: &RelayProcess, from: u32, last: u32) -> (Vec<String>, Vec<u32>) {
    let mut client = subscribed(relay, from).await;
    let (mut left_out, mut heights) = (Vec::new(), Vec::new());
    while heights.last() != Some(&last) {
        let next = timeout(DEADLINE, client.next()).await;
        let next = next.unwrap_or_else(|_| panic!("up to {last}: {left_out:?} {heights:?}"));
        let Frame::Text(text) = next.unwrap() else { continue };
        match serde_json::from_str(&text).unwrap() {
            ServerMessage::Error(error) => left_out.push(error.message),
            ServerMessage::Notification(notification) => match notification.event {
                Event::Tweaks(tweaks) => heights.push(tweaks.block_height),
                other => panic!("another topic: {other:?}"),
            },
            _ => {}
        }
    }
    (left_out, heights)
}
