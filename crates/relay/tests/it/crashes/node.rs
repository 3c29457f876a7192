//! With a node, which continues while the relay is killed.

use bitcoin::Amount;
use sdk_relay_client::{Client, ClientEvent, Notification, Resume, Topic};
use testkit::{InputKind, Options, RelayProcess};

use crate::crashes::{Chance, KILL_AFTER, KILLS, kill_after, start_again};
use crate::story::listener::Listener;
use crate::story::scene::{DEADLINE, Scene};
use crate::story::{SLACK, World};

/// Coins of each kind: enough for the payments of all rounds.
const COINS: usize = 60;
const COIN: Amount = Amount::from_sat(2_000_000);

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
    for kind in InputKind::ALL {
        scene.payer.split(&scene.node, kind, COINS, COIN).await;
    }
    scene.node.mine(SLACK).await;
    scene.start = World::at_start(&scene.node).await;
    let mut relay = RelayProcess::start(scene.relay()).await;
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
            0..40 => pay(scene, chance).await,
            40..55 => replace(scene, chance).await,
            55..65 => {
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
    let waiting: Vec<_> = scene
        .sent
        .iter()
        .filter(|sent| mempool.contains(&sent.txid()))
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
