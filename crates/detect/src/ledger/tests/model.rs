//! The ledger beside a model of a chain and a mempool: whatever happens, what was reported is what the model has.

use super::*;

/// Payments, each of one output.
const PAYMENTS: u8 = 3;
/// Transactions that spend each of them; they conflict with each other.
const SPENDS: u8 = 2;
/// Blocks that can be disconnected.
const DEPTH: u32 = 5;
const CONFIRM_AT: &[u32] = &[1, 2, 4];

/// Transactions below this number pay.
fn is_payment(tx: u8) -> bool {
    tx < PAYMENTS
}

/// The payment that a transaction spends.
fn spends(tx: u8) -> Option<u8> {
    (!is_payment(tx)).then(|| (tx - PAYMENTS) / SPENDS)
}

/// Height and hash of a block, or the mempool.
type Place = Option<(u32, BlockHash)>;

/// An output as it was reported: its payment, the depths that it has reached, its spend.
#[derive(Clone, Debug, Default, PartialEq)]
struct Reported {
    paid: Option<Place>,
    depths: Vec<u32>,
    spent: Option<(Txid, Place)>,
}

#[derive(Default)]
struct World {
    ledger: Ledger,
    reported: BTreeMap<OutPoint, Reported>,
    /// Each block with its transactions; the first has height 0.
    chain: Vec<(BlockHash, Vec<u8>)>,
    mempool: Vec<u8>,
    blocks_ever: u8,
    highest: u32,
    /// The greatest depth of each confirmed payment in its block.
    deepest: BTreeMap<u8, u32>,
}

impl World {
    fn tip(&self) -> u32 {
        u32::try_from(self.chain.len()).unwrap().saturating_sub(1)
    }

    /// Where a transaction is; `None` if it is nowhere.
    fn place(&self, tx: u8) -> Option<Place> {
        let mined = (0..).zip(&self.chain).find(|(_, (_, txs))| txs.contains(&tx));
        let mined = mined.map(|(height, (hash, _))| Some((height, *hash)));
        mined.or_else(|| self.mempool.contains(&tx).then_some(None))
    }

    fn conflict(&self, tx: u8) -> Option<u8> {
        let paid = spends(tx)?;
        let rivals =
            (PAYMENTS..PAYMENTS + PAYMENTS * SPENDS).filter(|rival| *rival != tx && spends(*rival) == Some(paid));
        rivals.into_iter().find(|rival| self.place(*rival).is_some())
    }

    fn may_enter(&self, tx: u8) -> bool {
        self.place(tx).is_none() && spends(tx).is_none_or(|paid| self.place(paid).is_some())
    }

    /// As detection reports a transaction: the payment, then a spend in the mempool, then what it spends.
    fn see(&mut self, tx: u8, place: Place) {
        if is_payment(tx) {
            let change = self.ledger.seen(outpoint(tx), payment(place));
            self.report(change.into_iter().collect());
            let known = self.mempool.iter().copied().find(|other| spends(*other) == Some(tx));
            if let Some(by) = known {
                let changes = self.ledger.spent(outpoint(tx), spend(by, None));
                self.report(changes);
            }
        }
        if let Some(paid) = spends(tx) {
            let mut of_tx = match place {
                Some((height, hash)) => Spends::of_block(sdk_relay_chain::BlockRef { height, hash }, 1),
                None => Spends::of_mempool(1),
            };
            let facts = sdk_relay_scheduler::Facts {
                txid: txid(tx),
                fee: None,
                size: 1,
            };
            of_tx.add(facts, &[(outpoint(paid), 0)]);
            let changes = self.ledger.spent_in(&of_tx);
            self.report(changes);
        }
    }

    fn enter(&mut self, tx: u8) {
        if !self.may_enter(tx) {
            return;
        }
        if let Some(rival) = self.conflict(tx) {
            if self.place(rival) != Some(None) {
                return;
            }
            self.leave(rival, Some(tx));
        }
        self.mempool.push(tx);
        self.see(tx, None);
    }

    fn leave(&mut self, tx: u8, by: Option<u8>) {
        let before = self.mempool.len();
        self.mempool.retain(|other| *other != tx);
        if self.mempool.len() < before {
            let changes = self.ledger.left(txid(tx), by.map(txid));
            self.report(changes);
        }
    }

    /// A block with these transactions, which is a child of the tip.
    fn mine(&mut self, txs: Vec<u8>) {
        self.blocks_ever += 1;
        let hash = block(self.blocks_ever);
        self.mempool.retain(|tx| !txs.contains(tx));
        self.chain.push((hash, txs.clone()));
        let tip = self.tip();
        let place = Some((tip, hash));
        for tx in txs.iter().filter(|tx| is_payment(**tx)) {
            self.see(*tx, place);
        }
        for tx in txs.iter().filter(|tx| !is_payment(**tx)) {
            self.see(*tx, place);
        }
        self.highest = self.highest.max(tip);
        for tx in 0..PAYMENTS {
            if let Some(Some((height, _))) = self.place(tx) {
                let deepest = self.deepest.entry(tx).or_default();
                *deepest = (*deepest).max(tip + 1 - height);
            }
        }
        let changes = self.ledger.deepened(tip, CONFIRM_AT);
        self.report(changes);
        if let Some(deep) = tip.checked_sub(DEPTH) {
            self.ledger.finalize(deep);
        }
        // Conflicts leave after the block, as in the stream of the follower.
        for tx in txs {
            let rival = self.conflict(tx).filter(|rival| self.mempool.contains(rival));
            if let Some(rival) = rival {
                self.leave(rival, Some(tx));
            }
        }
    }

    fn disconnect(&mut self, all_return: bool) {
        let is_final = self.highest.checked_sub(DEPTH).is_some_and(|deep| self.tip() <= deep);
        if is_final || self.chain.len() <= 1 {
            return;
        }
        let Some((hash, txs)) = self.chain.pop() else { return };
        let changes = self
            .ledger
            .disconnected(hash, |by| txs.iter().any(|tx| txid(*tx) == *by));
        self.report(changes);
        self.deepest.retain(|tx, _| !txs.contains(tx));
        for tx in txs {
            if all_return {
                self.enter(tx);
            } else {
                // What spends it cannot stay.
                let children: Vec<_> = self
                    .mempool
                    .iter()
                    .copied()
                    .filter(|child| spends(*child) == Some(tx))
                    .collect();
                children.into_iter().for_each(|child| self.leave(child, None));
            }
        }
    }

    fn evict(&mut self, tx: u8, parent_first: bool) {
        let children: Vec<_> = self
            .mempool
            .iter()
            .copied()
            .filter(|child| spends(*child) == Some(tx))
            .collect();
        let mut gone = children;
        if self.mempool.contains(&tx) {
            gone.insert(if parent_first { 0 } else { gone.len() }, tx);
            gone.into_iter().for_each(|tx| self.leave(tx, None));
        }
    }

    /// Signals were lost: some transactions have left unnoticed.
    fn sync(&mut self, lost: u8) {
        if self.mempool.contains(&lost) {
            self.mempool.retain(|tx| *tx != lost && spends(*tx) != Some(lost));
        }
        let mempool = self.mempool.clone();
        let changes = self.ledger.mempool_is(|by| mempool.iter().any(|tx| txid(*tx) == *by));
        self.report(changes);
    }

    /// Applies events as a client does, and panics on a contradiction.
    fn report(&mut self, changes: Vec<Change>) {
        for Change { outpoint, event } in changes {
            let known = self.reported.entry(outpoint).or_default();
            match event {
                Event::PaymentDetected(p) => {
                    let place = place_of(p.block_height, p.block_hash.as_ref());
                    let is_new = known.paid.is_none() || (known.paid == Some(None) && place.is_some());
                    assert!(is_new, "{known:?}, then {p:?}");
                    known.paid = Some(place);
                }
                Event::PaymentConfirmed(p) => {
                    assert!(matches!(known.paid, Some(Some(_))), "{known:?}, then {p:?}");
                    assert!(known.depths.last().is_none_or(|last| *last < p.confirmations));
                    known.depths.push(p.confirmations);
                }
                Event::PaymentReverted(p) => {
                    let place = place_of(p.block_height, p.block_hash.as_ref());
                    assert_eq!(
                        (known.paid, &known.spent),
                        (Some(place), &None),
                        "the spend is reverted first"
                    );
                    *known = Reported::default();
                }
                Event::PaymentSpent(s) => {
                    let (by, place) = (
                        s.spent_by.as_ref().unwrap().parse().unwrap(),
                        place_of(s.block_height, s.block_hash.as_ref()),
                    );
                    let is_new = known.spent.is_none() || (known.spent == Some((by, None)) && place.is_some());
                    assert!(known.paid.is_some() && is_new, "{known:?}, then {s:?}");
                    known.spent = Some((by, place));
                }
                Event::PaymentSpentReverted(s) => {
                    let (by, place) = (
                        s.spent_by.as_ref().unwrap().parse().unwrap(),
                        place_of(s.block_height, s.block_hash.as_ref()),
                    );
                    assert_eq!(known.spent, Some((by, place)));
                    known.spent = None;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// What should have been reported of a payment.
    fn truth(&self, tx: u8) -> Reported {
        let Some(paid) = self.place(tx) else {
            return Reported::default();
        };
        let deepest = self.deepest.get(&tx).copied().unwrap_or_default();
        let by = (PAYMENTS..PAYMENTS + PAYMENTS * SPENDS).filter(|by| spends(*by) == Some(tx));
        Reported {
            paid: Some(paid),
            depths: CONFIRM_AT.iter().copied().filter(|depth| *depth <= deepest).collect(),
            spent: by.into_iter().find_map(|by| Some((txid(by), self.place(by)?))),
        }
    }
}

fn place_of(height: Option<u32>, hash: Option<&String>) -> Place {
    Some((height?, hash?.parse().unwrap()))
}

proptest! {
    #[test]
    fn what_was_reported_is_what_the_chain_and_the_mempool_have(
        steps in proptest::collection::vec((0_u8..10, 0_u8..PAYMENTS + PAYMENTS * SPENDS), 0..80),
    ) {
        let mut world = World::default();
        world.mine(Vec::new());
        for (step, tx) in steps {
            match step {
                0..=3 => world.enter(tx),
                4 => world.mine(world.mempool.clone()),
                5 => {
                    // Directly, with the payment that it needs.
                    let needed = spends(tx).into_iter().chain([tx]).filter(|tx| !matches!(world.place(*tx), Some(Some(_))));
                    let txs: Vec<u8> = needed.collect();
                    let is_free = |tx: &u8| world.conflict(*tx).is_none_or(|rival| world.mempool.contains(&rival));
                    if txs.iter().all(is_free) {
                        world.mine(txs);
                    }
                }
                6 => world.disconnect(true),
                7 => world.disconnect(tx % 2 == 0),
                8 => world.evict(tx, tx % 2 == 0),
                _ => world.sync(tx),
            }
            for tx in 0..PAYMENTS {
                let reported = world.reported.get(&outpoint(tx)).cloned().unwrap_or_default();
                prop_assert_eq!(reported, world.truth(tx), "payment {} after step {} {}", tx, step, tx);
            }
            // A restart reads the same state from the store.
            let outputs: Vec<_> = (0..PAYMENTS).map(outpoint).filter_map(|o| Some((o, world.ledger.output(&o)?))).collect();
            let again = Ledger::of(outputs);
            prop_assert_eq!(again.bytes(), world.ledger.bytes());
            world.ledger = again;
        }
    }
}
