//! Folds the received events into the state of a client, and compares it with the state of the node.

pub(crate) mod listener;
pub(crate) mod scene;

use std::collections::{BTreeMap, HashMap};

use bitcoin::{Transaction, Txid};
use sdk_relay_client::{Event, Notification, Payment, PaymentSpent};
use testkit::Bitcoind;

/// Blocks below the first tip that a test may reorganise.
pub(crate) const SLACK: u32 = 6;

/// Outputs that pay the relay's wallet, by txid and index, with the hash of their block (`None`: in the mempool) and
/// their satoshis.
pub(crate) type Payments = BTreeMap<(String, u32), (Option<String>, u64)>;

/// Payments that are spent, by txid and index, with the spending transaction and the hash of its block.
pub(crate) type Spends = BTreeMap<(String, u32), (String, Option<String>)>;

/// A state: the end of the best chain, and the current payments and their spends.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct World {
    /// Block hashes by height.
    pub(crate) blocks: BTreeMap<u32, String>,
    /// Payments to the relay's wallet.
    pub(crate) payments: Payments,
    /// What spends them.
    pub(crate) spends: Spends,
}

/// A created transaction, and its outputs to the wallet of the relay, and those of the wallet that it spends.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) tx: Transaction,
    /// Index and satoshis.
    pub(crate) paid: Vec<(u32, u64)>,
    /// Txid and index.
    pub(crate) spent: Vec<(String, u32)>,
}

impl Sent {
    /// The payer puts its recipients first, in their order: here all of them are the wallet of the relay.
    pub(crate) fn new(tx: Transaction, amounts: &[u64]) -> Sent {
        let paid = (0..).zip(amounts.iter().copied()).collect();
        let spent = Vec::new();
        Sent { tx, paid, spent }
    }

    /// It spends outputs of the wallet.
    pub(crate) fn spending(tx: Transaction) -> Sent {
        let inputs = tx.input.iter().map(|input| input.previous_output);
        let spent = inputs.map(|output| (output.txid.to_string(), output.vout)).collect();
        let paid = Vec::new();
        Sent { tx, paid, spent }
    }

    pub(crate) fn txid(&self) -> Txid {
        self.tx.compute_txid()
    }
}

impl World {
    /// The state before the first event: the blocks of the node up to the tip at which the relay began.
    pub(crate) async fn at_start(node: &Bitcoind) -> World {
        World::of(node, node.height().await.saturating_sub(SLACK), &[]).await
    }

    /// The state of the node: its blocks from `lowest`, and the location of each of `sent`.
    pub(crate) async fn of(node: &Bitcoind, lowest: u32, sent: &[Sent]) -> World {
        let mut world = World::default();
        let mut places: HashMap<Txid, Option<String>> = HashMap::new();
        places.extend(node.mempool().await.into_iter().map(|txid| (txid, None)));
        for height in lowest..=node.height().await {
            let hash = node.hash_at(height).await;
            let txs = node.block(hash).await.txdata;
            places.extend(txs.iter().map(|tx| (tx.compute_txid(), Some(hash.to_string()))));
            world.blocks.insert(height, hash.to_string());
        }
        for sent in sent {
            let Some(place) = places.get(&sent.txid()) else {
                continue;
            };
            for (vout, sats) in &sent.paid {
                let key = (sent.txid().to_string(), *vout);
                world.payments.insert(key, (place.clone(), *sats));
            }
        }
        for sent in sent {
            let Some(place) = places.get(&sent.txid()) else {
                continue;
            };
            for key in sent.spent.iter().filter(|key| world.payments.contains_key(*key)) {
                let by = (sent.txid().to_string(), place.clone());
                world.spends.insert(key.clone(), by);
            }
        }
        world
    }

    pub(crate) fn lowest(&self) -> u32 {
        *self.blocks.keys().next().expect("a block")
    }

    fn tip(&self) -> (u32, &str) {
        let (height, hash) = self.blocks.last_key_value().expect("a block");
        (*height, hash)
    }
}

/// Applies the events in order to the initial state. Panics on a contradiction: an event that is missing, duplicate, or
/// inconsistent with earlier ones. The events are those of the topics `notifications` and `tweaks`, from the first one
/// on.
pub(crate) fn fold(start: &World, received: &[Notification]) -> World {
    let mut world = start.clone();
    // The block whose tweaks must follow.
    let mut tweaks_of: Option<String> = None;
    for (expected, notification) in (1..).zip(received) {
        let id = notification.event_id.expect("an event of the log");
        assert_eq!(
            id, expected,
            "event ids have no hole and no repetition: {notification:?}"
        );
        match &notification.event {
            Event::BlockMined(block) => {
                assert_eq!(tweaks_of, None, "{id}: a block before the tweaks of the last");
                assert_eq!(block.block_height, world.tip().0 + 1, "{id}: a block on the tip");
                world.blocks.insert(block.block_height, block.block_hash.clone());
                tweaks_of = Some(block.block_hash.clone());
            }
            Event::Tweaks(tweaks) => {
                assert_eq!(
                    tweaks_of.take().as_ref(),
                    Some(&tweaks.block_hash),
                    "{id}: tweaks of a block"
                );
                assert_eq!(world.tip(), (tweaks.block_height, tweaks.block_hash.as_str()));
            }
            Event::BlockDisconnected(block) => {
                assert_eq!(
                    world.tip(),
                    (block.block_height, block.block_hash.as_str()),
                    "{id}: the tip goes"
                );
                let left = |(place, _): &(Option<String>, u64)| place.as_ref() == Some(&block.block_hash);
                assert!(
                    !world.payments.values().any(left),
                    "{id}: a payment stays in a block that goes"
                );
                let unspent = |(_, place): &(String, Option<String>)| place.as_ref() == Some(&block.block_hash);
                assert!(
                    !world.spends.values().any(unspent),
                    "{id}: a spend stays in a block that goes"
                );
                world.blocks.remove(&block.block_height);
                if let Some(parent) = world.blocks.get(&(block.block_height - 1)) {
                    assert_eq!(
                        *parent, block.previous_block_hash,
                        "{id}: the block below the tip holds again"
                    );
                }
            }
            Event::PaymentDetected(payment) => {
                let before = world
                    .payments
                    .insert(key(payment), (payment.block_hash.clone(), payment.amount_sats));
                match &payment.block_hash {
                    None => assert_eq!(
                        (before, payment.confirmations),
                        (None, 0),
                        "{id}: already reported: {payment:?}"
                    ),
                    Some(hash) => {
                        assert!(
                            before.is_none_or(|(place, _)| place.is_none()),
                            "{id}: already reported: {payment:?}"
                        );
                        assert_eq!(
                            (payment.block_height, payment.confirmations),
                            (Some(world.tip().0), 1),
                            "{id}"
                        );
                        assert_eq!(hash, world.tip().1, "{id}: a payment of the tip");
                    }
                }
            }
            Event::PaymentReverted(payment) => {
                let before = world.payments.remove(&key(payment));
                let was = Some((payment.block_hash.clone(), payment.amount_sats));
                assert_eq!(before, was, "{id}: the last reported state is reverted: {payment:?}");
                assert!(
                    !world.spends.contains_key(&key(payment)),
                    "{id}: its spend is reverted first: {payment:?}"
                );
            }
            Event::PaymentConfirmed(payment) => {
                let at = payment.block_height.expect("a block");
                assert_eq!(world.blocks.get(&at), payment.block_hash.as_ref(), "{id}: {payment:?}");
                assert_eq!(world.tip().0 - at + 1, payment.confirmations, "{id}: {payment:?}");
            }
            Event::PaymentSpent(spent) => {
                let place = spent.block_hash.clone();
                let (output, by) = ((spent.txid.clone(), spent.vout), spender(spent));
                let paid = world.payments.get(&output);
                assert!(
                    paid.is_some_and(|(paid, sats)| *sats == spent.amount_sats && (paid.is_some() || place.is_none())),
                    "{id}: of a payment, {paid:?}: {spent:?}"
                );
                let before = world.spends.insert(output, (by.clone(), place.clone()));
                match place {
                    None => assert_eq!(
                        (before, spent.confirmations),
                        (None, 0),
                        "{id}: already reported: {spent:?}"
                    ),
                    Some(hash) => {
                        assert!(
                            before.is_none_or(|before| before == (by, None)),
                            "{id}: already reported: {spent:?}"
                        );
                        assert_eq!(
                            (spent.block_height, spent.confirmations),
                            (Some(world.tip().0), 1),
                            "{id}"
                        );
                        assert_eq!(hash, world.tip().1, "{id}: a spend of the tip");
                    }
                }
            }
            Event::PaymentSpentReverted(spent) => {
                let before = world.spends.remove(&(spent.txid.clone(), spent.vout));
                let was = Some((spender(spent), spent.block_hash.clone()));
                assert_eq!(before, was, "{id}: the last reported state is reverted: {spent:?}");
            }
            other => panic!("{id}: unexpected event: {other:?}"),
        }
    }
    world
}

/// The transaction that spends an output, which the relay has seen.
fn spender(spent: &PaymentSpent) -> String {
    spent.spent_by.clone().expect("a transaction")
}

fn key(payment: &Payment) -> (String, u32) {
    (payment.txid.clone(), payment.vout)
}
