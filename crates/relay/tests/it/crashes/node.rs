//! With a node, which continues while the relay is killed.

use std::collections::BTreeSet;

use bitcoin::{Amount, OutPoint};
use sdk_relay_client::{Client, ClientEvent, Event, Notification, Resume, Topic};
use testkit::{InputKind, Options, Payee, RelayProcess};

use crate::crashes::{Chance, KILL_AFTER, KILLS, kill_after, start_again};
use crate::story::listener::Listener;
use crate::story::scene::{DEADLINE, Scene};
use crate::story::{SLACK, Sent, World};

/// Coins of each kind: enough for the payments of all rounds.
const COINS: usize = 60;
const COIN: Amount = Amount::from_sat(2_000_000);
/// Fee of a spend, at least: 150 virtual bytes.
const LEAST_FEE: u64 = 1_000;
/// Payments that are tried to be spent.
const TRIES: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_signals() {
    killed_again_and_again(Options::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_polling_only() {
    let options = Options {
        zmq: false,
        ..Options::default()
    };
    killed_again_and_again(options).await;
}

async fn killed_again_and_again(options: Options) {
    let mut chance = Chance::new();
    let mut scene = Scene::new(options).await;
    // Its keys are needed to spend from it.
    scene.wallet = Some(Payee::new(&[]));
    for kind in InputKind::ALL {
        scene.payer.split(&scene.node, kind, COINS, COIN).await;
    }
    scene.node.mine(SLACK).await;
    scene.start = World::at_start(&scene.node).await;
    let options = scene.relay().set("WALLET__CONFIRM_AT", "2,3");
    let mut relay = RelayProcess::start(options).await;
    scene.meet(&relay).await;
    let listener = Listener::start(relay.ws_url());
    let mut visitor = Visitor::default();

    for _ in 0..KILLS {
        acts(&mut scene, 0..=2, &mut chance).await;
        let delay = chance.delay(KILL_AFTER);
        let killed = tokio::spawn(kill_after(delay, relay));
        acts(&mut scene, 1..=5, &mut chance).await;
        relay = killed.await.expect("a killed relay");
        acts(&mut scene, 0..=3, &mut chance).await;
        start_again(&mut relay, &mut chance).await;
        let some = chance.of(0..40);
        visitor.visit(&relay, some).await;
        listener.check();
    }
    // The rest of the mempool is mined at the end, while the relay runs.
    scene.agrees(&listener).await;
    scene.node.mine(1).await;
    let world = scene.agrees(&listener).await;
    let expected = listener.received();
    assert!(
        listener.connections() > KILLS / 2,
        "the listener came back after most kills"
    );
    assert!(
        world.payments.len() >= KILLS,
        "the payer was not idle: {}",
        world.payments.len()
    );

    let (spends, depths) = counted(&expected);
    assert!(spends >= KILLS / 2, "the wallet was not idle: {spends} spends");
    assert!(depths >= KILLS / 2, "{depths} depths");

    // A client that connected occasionally, and one that connects only now, receive the same events.
    visitor.visit(&relay, expected.len() - visitor.received.len()).await;
    assert_eq!(visitor.received, expected);
    let mut late = Visitor::default();
    late.visit(&relay, expected.len()).await;
    assert_eq!(late.received, expected);
}

/// Random actions, each as soon as the node has accepted the previous one, without waiting for the relay.
async fn acts(scene: &mut Scene, how_many: std::ops::RangeInclusive<usize>, chance: &mut Chance) {
    for _ in 0..chance.of(how_many) {
        match chance.of(0..100) {
            0..25 => pay(scene, chance).await,
            25..45 => spend(scene, chance).await,
            45..57 => replace(scene, chance).await,
            57..65 => {
                let (kinds, amounts) = payment(chance);
                scene.pay_into_a_block(&kinds, &amounts).await;
            }
            65..85 => drop(scene.node.mine(1).await),
            _ => reorganise(scene, chance).await,
        }
    }
}

async fn pay(scene: &mut Scene, chance: &mut Chance) {
    let (kinds, amounts) = payment(chance);
    scene.pay(&kinds, &amounts).await;
}

/// Replaces a payment of the mempool by another, or by a transaction without one. Pays if there is none.
async fn replace(scene: &mut Scene, chance: &mut Chance) {
    let mempool = scene.node.mempool().await;
    // A transaction with a child would have to pay for both.
    let has_child = |sent: &Sent| {
        let mut in_mempool = scene.sent.iter().filter(|other| mempool.contains(&other.txid()));
        in_mempool.any(|other| other.spent.iter().any(|(txid, _)| *txid == sent.txid().to_string()))
    };
    let waiting: Vec<_> = scene
        .sent
        .iter()
        .filter(|sent| sent.spent.is_empty() && mempool.contains(&sent.txid()) && !has_child(sent))
        .collect();
    if waiting.is_empty() {
        return pay(scene, chance).await;
    }
    let old = waiting[chance.of(0..waiting.len())].clone();
    let amounts: &[u64] = if chance.percent(50) {
        &[chance.of(1_000..10_000)]
    } else {
        &[]
    };
    scene.replace(&old, amounts).await;
}

/// Spends a payment, unconfirmed ones too; a higher fee replaces an earlier spend. Pays if none can be spent.
async fn spend(scene: &mut Scene, chance: &mut Chance) {
    let large = scene.sent.iter().flat_map(|sent| {
        let outputs = sent.paid.iter().filter(|(_, sats)| *sats >= 10 * LEAST_FEE);
        outputs.map(move |(vout, _)| (sent.clone(), *vout))
    });
    let large: Vec<_> = large.collect();
    // The newest are more likely to be there, and unspent.
    for _ in 0..TRIES {
        let Some(last) = large.len().checked_sub(1) else { break };
        let (of, vout) = &large[last - chance.of(0..=last.min(10))];
        let fee = Amount::from_sat(LEAST_FEE * chance.of(1..=6));
        let spend = scene.spend(of, *vout, fee);
        let output = OutPoint::new(of.txid(), *vout);
        if chance.percent(25) && scene.node.txout(output).await.is_some() {
            scene.node.mine_with(std::slice::from_ref(&spend.tx)).await;
            return scene.sent.push(spend);
        }
        if scene.node.accepts(&spend.tx).await.is_ok() {
            scene.node.send_raw(&spend.tx).await;
            return scene.sent.push(spend);
        }
    }
    pay(scene, chance).await;
}

/// Reported spends, and depths that payments have reached. No depth is reported twice for one block of a payment.
fn counted(received: &[Notification]) -> (usize, usize) {
    let (mut spends, mut depths) = (0, 0);
    let mut reached = BTreeSet::new();
    for Notification { event, event_id, .. } in received {
        match event {
            Event::PaymentSpent(_) => spends += 1,
            Event::PaymentConfirmed(p) => {
                let depth = (p.txid.clone(), p.vout, p.confirmations);
                assert!(reached.insert(depth.clone()), "{event_id:?}: {depth:?} again");
                depths += 1;
            }
            Event::PaymentReverted(p) => reached.retain(|(txid, vout, _)| (txid, vout) != (&p.txid, &p.vout)),
            _ => {}
        }
    }
    (spends, depths)
}

/// Depth 1 or 2; the new branch is higher or equally high, with or without the payments of the old one.
async fn reorganise(scene: &mut Scene, chance: &mut Chance) {
    let depth = chance.of(1..=2);
    scene.forget(depth).await;
    for _ in 0..depth + chance.of(0..=1) {
        match chance.percent(50) {
            true => drop(scene.node.mine(1).await),
            false => drop(scene.node.mine_with(&[]).await),
        }
    }
}

fn payment(chance: &mut Chance) -> (Vec<InputKind>, Vec<u64>) {
    let kinds = (0..chance.of(1..=2)).map(|_| InputKind::ALL[chance.of(0..4)]).collect();
    let amounts = (0..chance.of(1..=3)).map(|_| chance.of(1_000..100_000)).collect();
    (kinds, amounts)
}

/// An app that connects occasionally with the SDK, and resumes.
#[derive(Default)]
struct Visitor {
    received: Vec<Notification>,
}

impl Visitor {
    /// Receives up to this number of further events.
    async fn visit(&mut self, relay: &RelayProcess, events: usize) {
        let last = self.received.last().and_then(|n| n.event_id).unwrap_or(0);
        let (client, mut queue) = Client::builder(&relay.ws_url())
            .topics([Topic::Notifications, Topic::Tweaks])
            .resume_from(Some(last))
            .reconnect(false)
            .connect()
            .await
            .unwrap();
        assert_ne!(
            client.relay().resume,
            Some(Resume::Gap),
            "something after {last} was lost"
        );
        let there = client.relay().last_event_id - last;
        for _ in 0..events.min(there as usize) {
            let next = tokio::time::timeout(DEADLINE, queue.recv()).await;
            match next.expect("the next event") {
                Some(ClientEvent::Notification(notification)) => self.received.push(*notification),
                other => panic!("a notification, not {other:?}"),
            }
        }
    }
}
