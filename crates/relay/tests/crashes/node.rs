//! On a node, which lives on while the relay dies.

use bitcoin::{Amount, ScriptBuf, Transaction};
use sdk_relay_bip352::SilentPaymentAddress;
use sdk_relay_client::{Client, ClientEvent, Notification, Topic};
use testkit::{Bitcoind, InputKind, Options, Payer, Recipient, RelayOptions, RelayProcess, eventually};

use crate::story::listener::Listener;
use crate::story::{Sent, World, fold};
use crate::{Chance, DEADLINE, KILL_AFTER, KILLS, kill_after, start_again};

/// Coins of each kind: as many payments as all rounds can make.
const COINS: usize = 60;
const COIN: Amount = Amount::from_sat(2_000_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_signals() {
    killed_again_and_again(Options::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_polling_alone() {
    let options = Options {
        zmq: false,
        ..Options::default()
    };
    killed_again_and_again(options).await;
}

async fn killed_again_and_again(options: Options) {
    let mut chance = Chance::new();
    let node = Bitcoind::start(options).await;
    let mut payer = Payer::funded(&node).await;
    for kind in InputKind::ALL {
        payer.split(&node, kind, COINS, COIN).await;
    }
    node.mine(crate::story::SLACK).await;
    let start = World::at_start(&node).await;

    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node).fixed_ports();
    let mut relay = RelayProcess::start(options).await;
    let listener = Listener::start(relay.ws_url());
    let mut visitor = Visitor::default();
    let address = visitor.visit(&relay, 0).await;
    let mut scene = Scene {
        node,
        payer,
        address,
        sent: Vec::new(),
    };

    for _ in 0..KILLS {
        scene.acts(0..=2, &mut chance).await;
        let delay = chance.delay(KILL_AFTER);
        let killed = tokio::spawn(kill_after(delay, relay));
        scene.acts(1..=5, &mut chance).await;
        relay = killed.await.expect("a killed relay");
        scene.acts(0..=3, &mut chance).await;
        start_again(&mut relay, &mut chance).await;
        let some = chance.of(0..40);
        visitor.visit(&relay, some).await;
        listener.check();
    }
    // Whatever the mempool still has is mined in the end, and the relay is alive to see it.
    scene.agrees(&start, &listener).await;
    scene.node.mine(1).await;
    let world = scene.agrees(&start, &listener).await;
    let told = listener.told();
    assert!(listener.connections() > KILLS / 2, "the listener came back after most kills");
    assert!(world.payments.len() >= KILLS, "the payer was not idle: {}", world.payments.len());

    // The same story to whoever came now and then, and to whoever comes only now.
    visitor.visit(&relay, told.len() - visitor.told.len()).await;
    assert_eq!(visitor.told, told);
    let mut late = Visitor::default();
    late.visit(&relay, told.len()).await;
    assert_eq!(late.told, told);
}

/// What happens around the relay.
struct Scene {
    node: Bitcoind,
    payer: Payer,
    address: SilentPaymentAddress,
    sent: Vec<Sent>,
}

impl Scene {
    /// Some acts, one after the other, each as soon as the node has taken the last: nobody waits for the relay.
    async fn acts(&mut self, how_many: std::ops::RangeInclusive<usize>, chance: &mut Chance) {
        for _ in 0..chance.of(how_many) {
            match chance.of(0..100) {
                0..40 => self.pay(chance).await,
                40..55 => self.replace(chance).await,
                55..65 => self.pay_into_a_block(chance).await,
                65..85 => drop(self.node.mine(1).await),
                _ => self.reorganise(chance).await,
            }
        }
    }

    async fn pay(&mut self, chance: &mut Chance) {
        let payment = self.payment(chance);
        self.node.send_raw(&payment.tx).await;
        self.sent.push(payment);
    }

    /// A payment that the mempool never saw.
    async fn pay_into_a_block(&mut self, chance: &mut Chance) {
        let payment = self.payment(chance);
        self.node.mine_with(std::slice::from_ref(&payment.tx)).await;
        self.sent.push(payment);
    }

    /// Replaces a payment of the mempool, by another or by none. Without one there it pays.
    async fn replace(&mut self, chance: &mut Chance) {
        let mempool = self.node.mempool().await;
        let waiting: Vec<_> = self.sent.iter().filter(|sent| mempool.contains(&sent.txid())).collect();
        if waiting.is_empty() {
            return self.pay(chance).await;
        }
        let old: Transaction = waiting[chance.of(0..waiting.len())].tx.clone();
        let new = if chance.percent(50) {
            let sats = chance.of(1_000..10_000);
            let tx = self.payer.replace(&old, &[(self.address, Amount::from_sat(sats))]);
            Sent::new(tx, &[sats])
        } else {
            let nobody = (ScriptBuf::new_op_return([]), Amount::ZERO);
            Sent::new(self.payer.replace(&old, &[nobody]), &[])
        };
        self.node.send_raw(&new.tx).await;
        self.sent.push(new);
    }

    /// Depth 1 or 2; the new branch is higher or as high, with the payments of the old one or without.
    async fn reorganise(&mut self, chance: &mut Chance) {
        let depth: u32 = chance.of(1..=2);
        let lowest = self.node.height().await + 1 - depth;
        self.node.invalidate(self.node.hash_at(lowest).await).await;
        for _ in 0..depth + chance.of(0..=1) {
            match chance.percent(50) {
                true => drop(self.node.mine(1).await),
                false => drop(self.node.mine_with(&[]).await),
            }
        }
    }

    fn payment(&mut self, chance: &mut Chance) -> Sent {
        let kinds: Vec<_> = (0..chance.of(1..=2)).map(|_| InputKind::ALL[chance.of(0..4)]).collect();
        let amounts: Vec<u64> = (0..chance.of(1..=3)).map(|_| chance.of(1_000..100_000)).collect();
        let to = amounts.iter().map(|sats| Recipient::from((self.address, Amount::from_sat(*sats))));
        let tx = self.payer.pay(&kinds, &to.collect::<Vec<_>>());
        Sent::new(tx, &amounts)
    }

    /// Waits until the listener believes what is true, which it then gives.
    async fn agrees(&self, start: &World, listener: &Listener) -> World {
        let truth = World::of(&self.node, start.lowest(), &self.sent).await;
        eventually(DEADLINE, format!("what is told is {truth:#?}"), async || {
            listener.check();
            (fold(start, &listener.told()) == truth).then_some(())
        })
        .await;
        truth
    }
}

/// An app that comes now and then, by the SDK, and resumes where it left.
#[derive(Default)]
struct Visitor {
    told: Vec<Notification>,
}

impl Visitor {
    /// Takes so many further events, or as many as there are now. Gives the relay's address.
    async fn visit(&mut self, relay: &RelayProcess, events: usize) -> SilentPaymentAddress {
        let last = self.told.last().and_then(|n| n.event_id).unwrap_or(0);
        let (client, mut queue) = Client::builder(&relay.ws_url())
            .topics([Topic::Notifications, Topic::Tweaks])
            .resume_from(Some(last))
            .reconnect(false)
            .connect()
            .await
            .unwrap();
        let there = client.relay().last_event_id - last;
        for _ in 0..events.min(there as usize) {
            let next = tokio::time::timeout(DEADLINE, queue.recv()).await.expect("the next event");
            match next {
                Some(ClientEvent::Notification(notification)) => self.told.push(*notification),
                other => panic!("a notification, not {other:?}"),
            }
        }
        let address = client.relay().silent_payment_address.clone();
        address.expect("an address").parse().unwrap()
    }
}
