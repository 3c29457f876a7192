//! A node, a payer, a relay, and two clients: one receives the log, the other also has a watch.

use std::collections::BTreeSet;

use bitcoin::{Amount, BlockHash, Transaction};
use sdk_relay_bip352::SilentPaymentAddress;
use sdk_relay_client::Event;
use testkit::{InputKind, Options, Payee, Payer, PooledNode, Recipient, RelayOptions, RelayProcess};

use crate::story::{Payments, Sent, World, fold};
use crate::support::recorder::{Recorder, by_watch};
use crate::support::step::{Step, output, steps};

/// Satoshis that each transaction pays to the relay's wallet (output 0), and to the watch in an output each (1,
/// labelled, and 2).
const OWN: u64 = 10_000;
const WATCHED: [(u32, u64); 2] = [(1, 20_000), (2, 30_000)];
const LABEL: u32 = 9;

pub(crate) struct Scene {
    pub(crate) payer: Payer,
    _relay: RelayProcess,
    /// Receives the log, and the payments of its watch.
    pub(crate) owner: Recorder,
    /// Receives the log.
    pub(crate) other: Recorder,
    own: SilentPaymentAddress,
    payee: Payee,
    start: World,
    sent: Vec<Transaction>,
    pub(crate) node: PooledNode,
}

impl Scene {
    pub(crate) async fn new(options: Options) -> Scene {
        let node = PooledNode::take(options).await;
        let payer = Payer::funded(&node).await;
        let start = World::at_start(&node).await;
        let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node);
        let relay = RelayProcess::start(options).await;
        let topics = ["notifications", "tweaks"];
        let mut owner = Recorder::open(&relay, &topics, None).await;
        let other = Recorder::open(&relay, &topics, None).await;
        let payee = Payee::new(&[LABEL]);
        owner.watch(&payee).await;
        let own = owner.relay.silent_payment_address.clone().expect("an address");
        Scene {
            own: own.parse().unwrap(),
            node,
            payer,
            _relay: relay,
            owner,
            other,
            payee,
            start,
            sent: Vec::new(),
        }
    }

    /// A payment to the wallet of the relay and to the watch. It is not broadcast.
    pub(crate) fn payment(&mut self, kinds: &[InputKind]) -> Transaction {
        let to = self.recipients();
        let tx = self.payer.pay(kinds, &to);
        self.sent.push(tx.clone());
        tx
    }

    /// The same, in the node's mempool.
    pub(crate) async fn pay(&mut self, kinds: &[InputKind]) -> Transaction {
        let tx = self.payment(kinds);
        self.node.send_raw(&tx).await;
        tx
    }

    /// A replacement of a payment with the same outputs. It is not broadcast.
    pub(crate) fn replacement(&mut self, of: &Transaction) -> Transaction {
        let to = self.recipients();
        let tx = self.payer.replace(of, &to);
        self.sent.push(tx.clone());
        tx
    }

    /// A replacement of a payment without payments. It is not broadcast.
    pub(crate) fn refusal(&mut self, of: &Transaction) -> Transaction {
        let unowned = Recipient::Script(bitcoin::ScriptBuf::new_op_return([]), Amount::ZERO);
        self.payer.replace(of, &[unowned])
    }

    /// Waits until a payment is reported, in a block or in the mempool, and the watch is scanned up to there: a block
    /// that is disconnected before is not scanned for it. Returns the events of the log since the last wait.
    pub(crate) async fn paid(&mut self, tx: &Transaction, block: Option<BlockHash>) -> Vec<Step> {
        let (txid, block) = (tx.compute_txid().to_string(), block.map(|b| b.to_string()));
        self.owner.until_paid(&txid, 0, block.as_deref()).await;
        steps(&self.other.until_paid(&txid, 0, block.as_deref()).await)
    }

    /// Waits until all events of a block are received. Returns the events of the log since the last wait.
    pub(crate) async fn mined(&mut self, block: BlockHash) -> Vec<Step> {
        self.owner.until_tweaks(&block.to_string()).await;
        steps(&self.other.until_tweaks(&block.to_string()).await)
    }

    /// Waits until a block is disconnected. Returns the events of the log since the last wait.
    pub(crate) async fn disconnected(&mut self, block: BlockHash) -> Vec<Step> {
        steps(&self.other.until_disconnected(&block.to_string()).await)
    }

    /// Waits until an unconfirmed payment is reverted. Returns the events of the log since the last wait.
    pub(crate) async fn reverted(&mut self, tx: &Transaction) -> Vec<Step> {
        let txid = tx.compute_txid().to_string();
        let received = self.other.until(
            format!("the end of {txid}"),
            |event| matches!(event, Event::PaymentReverted(p) if p.txid == txid && p.block_hash.is_none()),
        );
        steps(&received.await)
    }

    /// Sends a last payment and a last block, after which no earlier event can follow, and compares the reported state
    /// with the node. Returns all events of the log, and all of the watch.
    pub(crate) async fn end(&mut self) -> (Vec<Step>, Vec<Step>) {
        let last = self.pay(&[InputKind::P2pkh]).await;
        self.paid(&last, None).await;
        let block = self.node.mine(1).await[0];
        self.mined(block).await;

        // The log is the same for all clients.
        let log_of = |recorder: &Recorder| -> Vec<String> {
            let pairs = recorder.notifications.iter().zip(&recorder.texts);
            pairs
                .filter(|(n, _)| n.event_id.is_some())
                .map(|(_, text)| text.clone())
                .collect()
        };
        assert_eq!(log_of(&self.owner), log_of(&self.other));
        let (of_watch, of_log) = by_watch(self.owner.notifications.clone());
        assert_eq!(fold(&self.start, &of_log), self.truth(&[(0, OWN)]).await);
        assert_eq!(self.fold_watch().await, self.truth(&WATCHED).await.payments);
        (steps(&of_log), steps(&of_watch))
    }

    /// Folds the events of the watch, and checks them against the log in between: the payments of the watch in a block
    /// precede the block, and their reverts precede its disconnect.
    async fn fold_watch(&self) -> Payments {
        let mut payments = Payments::new();
        let mut messages = BTreeSet::new();
        for notification in &self.owner.notifications {
            match (&notification.event, notification.event_id) {
                (Event::PaymentDetected(payment), None) => {
                    let place = payment.block_hash.clone();
                    messages.insert((payment.txid.clone(), payment.vout, place.clone()));
                    let before = payments.insert(output(payment), (place.clone(), payment.amount_sats));
                    let is_new = match before {
                        None => true,
                        Some((before, _)) => before.is_none() && place.is_some(),
                    };
                    assert!(is_new, "already reported: {payment:?}");
                }
                (Event::PaymentReverted(payment), None) => {
                    let was = Some((payment.block_hash.clone(), payment.amount_sats));
                    assert_eq!(
                        payments.remove(&output(payment)),
                        was,
                        "the last reported state is reverted: {payment:?}"
                    );
                }
                (Event::BlockDisconnected(block), Some(_)) => {
                    let stays = payments
                        .iter()
                        .find(|(_, (place, _))| place.as_ref() == Some(&block.block_hash));
                    assert_eq!(stays, None, "a payment stays in a block that goes");
                }
                (Event::BlockMined(block), Some(_)) => {
                    let txs = self.node.block(block.block_hash.parse().unwrap()).await.txdata;
                    for tx in txs.iter().filter(|tx| self.sent.contains(tx)) {
                        for (vout, _) in WATCHED {
                            let key = (tx.compute_txid().to_string(), vout, Some(block.block_hash.clone()));
                            assert!(
                                messages.contains(&key),
                                "{key:?} is reported before its block, not after it"
                            );
                        }
                    }
                }
                (_, Some(_)) => {}
                (other, None) => panic!("a watch receives only payments: {other:?}"),
            }
        }
        payments
    }

    /// The state of these outputs of all created transactions, from the node.
    async fn truth(&self, paid: &[(u32, u64)]) -> World {
        let sent = self.sent.iter().map(|tx| Sent {
            tx: tx.clone(),
            paid: paid.to_vec(),
            spent: Vec::new(),
        });
        World::of(&self.node, self.start.lowest(), &sent.collect::<Vec<_>>()).await
    }

    fn recipients(&self) -> [Recipient; 3] {
        let to = |address, sats| Recipient::Silent(address, Amount::from_sat(sats));
        [
            to(self.own, OWN),
            to(self.payee.labelled_address(LABEL), WATCHED[0].1),
            to(self.payee.address(), WATCHED[1].1),
        ]
    }
}

/// Output 0, as identified in the log.
pub(crate) fn own(tx: &Transaction) -> (String, u32) {
    (tx.compute_txid().to_string(), 0)
}

pub(crate) fn seen(tx: &Transaction, block: Option<BlockHash>) -> Step {
    Step::Paid(own(tx), block.map(|b| b.to_string()))
}

pub(crate) fn gone(tx: &Transaction, block: Option<BlockHash>, by: Option<&Transaction>) -> Step {
    let by = by.map(|tx| tx.compute_txid().to_string());
    Step::Reverted(own(tx), block.map(|b| b.to_string()), by)
}

pub(crate) fn mined(block: BlockHash) -> Step {
    Step::Mined(block.to_string())
}

pub(crate) fn tweaks(block: BlockHash) -> Step {
    Step::Tweaks(block.to_string())
}

pub(crate) fn disconnected(block: BlockHash) -> Step {
    Step::Disconnected(block.to_string())
}

/// Expected events of the watch for these events of the log: its two outputs, without blocks.
pub(crate) fn of_watch(log: &[Step]) -> Vec<Step> {
    let both = |step: &Step| match step {
        Step::Paid((txid, 0), place) => WATCHED
            .map(|(vout, _)| Step::Paid((txid.clone(), vout), place.clone()))
            .to_vec(),
        Step::Reverted((txid, 0), place, by) => {
            let two = WATCHED.map(|(vout, _)| Step::Reverted((txid.clone(), vout), place.clone(), by.clone()));
            two.to_vec()
        }
        _ => Vec::new(),
    };
    log.iter().flat_map(both).collect()
}
