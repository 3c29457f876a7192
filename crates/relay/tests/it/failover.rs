//! A client whose relay is killed continues at another relay of the mesh by itself, and misses and repeats nothing.

use std::collections::BTreeMap;

use crate::support::DEADLINE;
use crate::support::recorder::watch_of;
use bitcoin::Amount;
use sdk_relay_client::{Client, ClientEvent, Event, Events, Resume, Topic};
use testkit::{
    Bitcoind, InputKind, Options, Payee, Payer, PooledNode, Recipient, RelayOptions, RelayProcess, eventually,
};

fn options(node: &Bitcoind, name: &str) -> RelayOptions {
    RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .node(node)
        .in_mesh()
        .set("RELAY_ID", name)
        .set("SYNC__INTERVAL", "1")
}

/// Receives events until `enough`.
#[derive(Default)]
struct App {
    blocks: Vec<u32>,
    tweaks: Vec<u32>,
    /// Number of times that each payment was reported as confirmed, by txid.
    paid: BTreeMap<String, usize>,
    resumed: Vec<Resume>,
    moved_to: Option<String>,
}

impl App {
    async fn receive(&mut self, events: &mut Events, what: &str, enough: impl Fn(&App) -> bool) {
        let received = async {
            while !enough(self) {
                match events.recv().await.expect("the client continues") {
                    ClientEvent::Notification(n) => match n.event {
                        Event::BlockMined(block) => self.blocks.push(block.block_height),
                        Event::Tweaks(tweaks) => self.tweaks.push(tweaks.block_height),
                        Event::PaymentDetected(p) if p.watch_id.is_some() && p.confirmations > 0 => {
                            *self.paid.entry(p.txid).or_default() += 1;
                        }
                        Event::BlockDisconnected(block) => panic!("no block went: {block:?}"),
                        _ => {}
                    },
                    ClientEvent::Reconnected { resume, relay, .. } => {
                        self.resumed.push(resume);
                        self.moved_to = Some(relay.relay_id);
                    }
                    ClientEvent::WatchLost { error, .. } => panic!("{error:?}"),
                    ClientEvent::WatchGap { watch_id } => panic!("{watch_id}: both have an index"),
                    _ => {}
                }
            }
        };
        if tokio::time::timeout(DEADLINE, received).await.is_err() {
            panic!(
                "{what}: {:?} {:?} {:?} {:?}",
                self.blocks, self.tweaks, self.paid, self.moved_to
            );
        }
    }
}

#[tokio::test]
async fn a_client_fails_over_to_another_relay() {
    let node = PooledNode::take(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    payer
        .split(&node, InputKind::P2wpkh, 4, Amount::from_sat(1_000_000))
        .await;
    let mut a = RelayProcess::start(options(&node, "a")).await;
    let b = RelayProcess::start(options(&node, "b").set("MESH__PEERS", a.ws_url())).await;
    eventually(DEADLINE, "a reports b to its clients", async || {
        let (probe, _events) = Client::builder(&a.ws_url()).connect().await.unwrap();
        (probe.relay().relays.len() == 1).then_some(())
    })
    .await;

    let (client, mut events) = Client::builder(&a.ws_url())
        .topics([Topic::Notifications, Topic::Tweaks])
        .trust_mesh(true)
        .connect()
        .await
        .unwrap();
    let payee = Payee::new(&[]);
    client.watch(watch_of(&payee)).await.unwrap();
    let mut pay = async |node: &Bitcoind| {
        let tx = payer.pay(
            &[InputKind::P2wpkh],
            &[Recipient::Silent(payee.address(), Amount::from_sat(20_000))],
        );
        node.send_raw(&tx).await;
        node.mine(1).await;
        tx.compute_txid().to_string()
    };
    let begin = node.height().await;
    let mut app = App::default();
    let first = pay(&node).await;
    app.receive(&mut events, "at a", |app| app.tweaks == [begin + 1]).await;

    a.kill9();
    let second = pay(&node).await;
    let third = pay(&node).await;
    app.receive(&mut events, "what came while it moved", |app| {
        app.tweaks.len() == 3 && app.paid.len() == 3
    })
    .await;
    assert_eq!(app.moved_to.as_deref(), Some("b"));
    assert_eq!(app.resumed, [Resume::Complete]);
    assert_eq!(client.relay().relay_id, "b");

    // And back, when b stops.
    a.start_again().await;
    eventually(DEADLINE, "b reports a to its clients", async || {
        let (probe, _events) = Client::builder(&b.ws_url()).connect().await.unwrap();
        (probe.relay().relays.len() == 1).then_some(())
    })
    .await;
    drop(b);
    let fourth = pay(&node).await;
    app.receive(&mut events, "after the way back", |app| {
        app.tweaks.len() == 4 && app.paid.len() == 4
    })
    .await;
    let heights: Vec<u32> = (begin + 1..=begin + 4).collect();
    assert_eq!((&app.blocks, &app.tweaks), (&heights, &heights), "each block once");
    let once = [first, second, third, fourth].map(|txid| (txid, 1));
    assert_eq!(app.paid, BTreeMap::from(once), "each payment once");
    assert_eq!(app.moved_to.as_deref(), Some("a"));
}

/// The client's watches continue above its last block: blocks that replaced ones below it must be scanned too.
#[tokio::test]
async fn a_payment_in_a_block_that_replaced_another_while_the_client_was_away_is_found() {
    let node = PooledNode::take(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    payer
        .split(&node, InputKind::P2wpkh, 2, Amount::from_sat(1_000_000))
        .await;
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .node(&node)
        .fixed_ports();
    let mut relay = RelayProcess::start(options).await;
    let (client, mut events) = Client::builder(&relay.ws_url())
        .topics([Topic::Notifications])
        .connect()
        .await
        .unwrap();
    let payee = Payee::new(&[]);
    client.watch(watch_of(&payee)).await.unwrap();
    let fork = node.height().await + 1;
    node.mine(3).await;
    until(
        &mut events,
        "the last block before",
        |event| matches!(event, Event::BlockMined(block) if block.block_height == fork + 2),
    )
    .await;

    relay.kill9();
    node.invalidate(node.hash_at(fork).await).await;
    let tx = payer.pay(
        &[InputKind::P2wpkh],
        &[Recipient::Silent(payee.address(), Amount::from_sat(20_000))],
    );
    node.send_raw(&tx).await;
    // The payment is in the first of them.
    node.mine(4).await;
    let first = node.hash_at(fork).await.to_string();
    relay.start_again().await;
    let txid = tx.compute_txid().to_string();
    until(&mut events, "the payment in the block that replaced another", |event| {
        matches!(event, Event::PaymentDetected(p)
            if p.txid == txid && p.watch_id.is_some() && p.block_hash.as_deref() == Some(first.as_str()))
    })
    .await;
}

async fn until(events: &mut Events, what: &str, is: impl Fn(&Event) -> bool) {
    let found = async {
        loop {
            match events.recv().await.expect("the client keeps running") {
                ClientEvent::Notification(n) if is(&n.event) => return,
                ClientEvent::WatchLost { error, .. } => panic!("{error:?}"),
                _ => {}
            }
        }
    };
    assert!(tokio::time::timeout(DEADLINE, found).await.is_ok(), "{what}");
}
