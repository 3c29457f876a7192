//! The state in which each output that pays one wallet was last reported: its payment, and its spend. No I/O.
//!
//! | payment as last reported | now | event |
//! |---|---|---|
//! | nothing | in the mempool | `payment_detected`, 0 confirmations |
//! | nothing, or 0 confirmations | in a block | `payment_detected`, 1 confirmation |
//! | in a block | a depth of `confirm_at` is reached for the first time in this block | `payment_confirmed`, with this depth |
//! | 0 confirmations | gone or replaced | `payment_reverted` |
//! | in a block | its block disconnected | `payment_reverted` |
//! | in a block | [`KEPT_BLOCKS`](sdk_relay_store::format::KEPT_BLOCKS) deep | nothing: it is final, and its output kept until it is spent |
//! | anything | the same again | nothing |
//!
//! | spend as last reported | now | event |
//! |---|---|---|
//! | nothing | a transaction in the mempool spends the output | `payment_spent`, 0 confirmations |
//! | nothing, or 0 confirmations by this transaction | a transaction in a block spends it, and the payment is in a block | `payment_spent`, 1 confirmation |
//! | 0 confirmations | a transaction that is not known spends it in a block | `payment_spent`, 1 confirmation, by the reported transaction |
//! | 0 confirmations | another transaction spends it | `payment_spent_reverted`, replaced by this one; then as if nothing was reported |
//! | 0 confirmations | the transaction is gone or replaced | `payment_spent_reverted` |
//! | 1 confirmation | its block disconnected | `payment_spent_reverted` |
//! | 0 or 1 confirmation | the payment is reverted | `payment_spent_reverted`, before the `payment_reverted` |
//! | 1 confirmation | as deep as a final payment | nothing: the output is forgotten |
//! | 1 confirmation, by a transaction that is not known | the transaction is known | `payment_spent`, 1 confirmation, by it |
//! | anything | the same again, or an output that no payment reported | nothing |
//!
//! Of a spend that only the index knows, the transaction may not be known. The reported one is taken for it: it is the
//! only known one, and a client that were told of another would count the output as unspent.
//!
//! A spend in a block of a payment that was not reported in a block is not reported: the scan that reports the payment
//! is not finished, and its caller looks for the spend again.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::hashes::Hash as _;
use bitcoin::{BlockHash, OutPoint, Txid};
use sdk_relay_protocol::Event;

use super::known_payment::KnownPayment;
use super::own_record::{Known, Output};
use super::spend::{Coin, Spend, Spends};

/// Memory for the entries: nodes of the maps are about half full at least.
const PAYMENT_BYTES: usize = 2 * size_of::<(OutPoint, KnownPayment)>();
const COIN_BYTES: usize = 2 * size_of::<(OutPoint, Coin)>();
const SPEND_BYTES: usize = 2 * (size_of::<(OutPoint, Spend)>() + size_of::<(Txid, OutPoint)>());

/// Outputs that pay one wallet, as they were last reported: those whose payment or spend can still be reverted, and
/// those that are not spent.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Payments that can be reverted.
    payments: BTreeMap<OutPoint, KnownPayment>,
    /// Outputs of final payments.
    coins: BTreeMap<OutPoint, Coin>,
    /// Reported spends that can be reverted. Each is of a payment or a coin.
    spends: BTreeMap<OutPoint, Spend>,
    /// The unconfirmed ones among them, by their transaction.
    waiting: BTreeSet<(Txid, OutPoint)>,
}

/// A change of the state of an output.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    pub(super) outpoint: OutPoint,
    /// The event that reports it.
    pub(super) event: Event,
}

impl Change {
    /// A payment that was not known, or not in this block.
    pub(super) fn detected(outpoint: OutPoint, payment: &KnownPayment) -> Self {
        Self {
            outpoint,
            event: Event::PaymentDetected(Box::new(payment.to_payment(outpoint))),
        }
    }
}

impl Ledger {
    /// A ledger of outputs that were reported before.
    pub(super) fn of(outputs: impl IntoIterator<Item = (OutPoint, Output)>) -> Self {
        let mut ledger = Self::default();
        for (outpoint, Output { known, spend }) in outputs {
            match known {
                Known::Recent(payment) => drop(ledger.payments.insert(outpoint, payment)),
                Known::Final(coin) => drop(ledger.coins.insert(outpoint, coin)),
            }
            if let Some(spend) = spend {
                ledger.keep(outpoint, spend);
            }
        }
        ledger
    }

    /// The state of an output; `None` if it is not kept.
    pub(super) fn output(&self, outpoint: &OutPoint) -> Option<Output> {
        let payment = self.payments.get(outpoint).cloned().map(Known::Recent);
        let known = payment.or_else(|| self.coins.get(outpoint).cloned().map(Known::Final))?;
        let spend = self.spends.get(outpoint).cloned();
        Some(Output { known, spend })
    }

    /// Memory use in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.payments.len() * PAYMENT_BYTES + self.coins.len() * COIN_BYTES + self.spends.len() * SPEND_BYTES
    }

    /// The outputs of payments in blocks that no block is known to spend, by the heights of their blocks: the next ones
    /// after this one, at most `most`.
    pub(super) fn unspent_after(&self, after: Option<(u32, OutPoint)>, most: usize) -> Vec<(u32, OutPoint)> {
        let recent = self
            .payments
            .iter()
            .filter_map(|(o, payment)| Some((payment.block?.0, *o)));
        let coins = self.coins.iter().map(|(o, coin)| (coin.height, *o));
        let is_unspent = |outpoint: &OutPoint| self.spends.get(outpoint).is_none_or(|spend| spend.block.is_none());
        let all = recent.chain(coins);
        let next = all.filter(|output| after.is_none_or(|after| *output > after) && is_unspent(&output.1));
        let mut next: Vec<_> = next.collect();
        if next.len() > most {
            // The first `most` of them.
            next.select_nth_unstable(most);
            next.truncate(most);
        }
        next.sort_unstable();
        next
    }

    /// Height of the block of a payment; `None` if it is in the mempool, or not kept.
    pub(super) fn height_of(&self, outpoint: &OutPoint) -> Option<u32> {
        match self.payments.get(outpoint) {
            Some(payment) => payment.block.map(|(height, _)| height),
            None => self.coins.get(outpoint).map(|coin| coin.height),
        }
    }

    pub(super) fn contains(&self, outpoint: &OutPoint) -> bool {
        self.payments.contains_key(outpoint) || self.coins.contains_key(outpoint)
    }

    /// An output was seen, in the mempool or in the block of the payment.
    pub(super) fn seen(&mut self, outpoint: OutPoint, payment: KnownPayment) -> Option<Change> {
        let is_change = self
            .payments
            .get(&outpoint)
            .is_none_or(|known| known.block.is_none() && payment.block.is_some());
        if !is_change || self.coins.contains_key(&outpoint) {
            return None;
        }
        let change = Change::detected(outpoint, &payment);
        self.payments.insert(outpoint, payment);
        Some(change)
    }

    /// The output of a final payment was found, which is not spent by a final transaction.
    pub(super) fn found(&mut self, outpoint: OutPoint, coin: Coin) {
        if !self.payments.contains_key(&outpoint) {
            self.coins.insert(outpoint, coin);
        }
    }

    /// A spend that was reported with the payment.
    pub(super) fn found_spent(&mut self, outpoint: OutPoint, spend: Spend) {
        if self.contains(&outpoint) {
            self.keep(outpoint, spend);
        }
    }

    /// Transactions were seen, in the mempool or in a block.
    pub(super) fn spent_in(&mut self, spends: &Spends) -> Vec<Change> {
        let found = if self.payments.len() + self.coins.len() < spends.len() {
            spends.among(self.payments.keys().chain(self.coins.keys()).copied())
        } else {
            spends.known_to(|outpoint| self.contains(outpoint))
        };
        let spent = found.into_iter();
        spent
            .flat_map(|(outpoint, spend)| self.spent(outpoint, spend))
            .collect()
    }

    /// A transaction that spends this output was seen, in the mempool or in a block.
    pub(super) fn spent(&mut self, outpoint: OutPoint, mut spend: Spend) -> Vec<Change> {
        let is_confirmed = match self.payments.get(&outpoint) {
            Some(payment) => payment.block.is_some(),
            None if self.coins.contains_key(&outpoint) => true,
            None => return Vec::new(),
        };
        if spend.block.is_some() && !is_confirmed {
            return Vec::new();
        }
        let mut changes = Vec::new();
        match self.spends.get(&outpoint) {
            Some(known) if known.block.is_some() => return changes,
            Some(known) if spend.by.is_none() => {
                (spend.by, spend.vin, spend.fee_sats) = (known.by, known.vin, known.fee_sats);
            }
            Some(known) if known.by != spend.by => changes.extend(self.revert_spend(outpoint, spend.by)),
            Some(_) if spend.block.is_none() => return changes,
            Some(_) | None => {}
        }
        if let Some(coin) = self.coin(&outpoint) {
            let event = Event::PaymentSpent(Box::new(coin.spent(outpoint, &spend)));
            self.keep(outpoint, spend);
            changes.push(Change { outpoint, event });
        }
        changes
    }

    /// The transaction of a spend is known, which was reported in the same block without it.
    pub(super) fn named(&mut self, outpoint: OutPoint, spend: Spend) -> Option<Change> {
        let is_meant = |known: &&Spend| known.by.is_none() && known.block.is_some() && known.block == spend.block;
        self.spends.get(&outpoint).filter(is_meant)?;
        let event = Event::PaymentSpent(Box::new(self.coin(&outpoint)?.spent(outpoint, &spend)));
        self.keep(outpoint, spend);
        Some(Change { outpoint, event })
    }

    /// The chain has a tip at this height: payments reach depths.
    pub(super) fn deepened(&mut self, tip: u32, depths: &[u32]) -> Vec<Change> {
        if depths.is_empty() {
            return Vec::new();
        }
        let (payments, spends) = (self.payments.iter_mut(), &self.spends);
        payments
            .flat_map(|(outpoint, payment)| confirmed(*outpoint, payment, spends.get(outpoint), tip, depths))
            .collect()
    }

    /// The same for one payment.
    pub(super) fn deepened_one(&mut self, outpoint: OutPoint, tip: u32, depths: &[u32]) -> Vec<Change> {
        let spend = self.spends.get(&outpoint);
        let payment = self.payments.get_mut(&outpoint);
        payment.map_or_else(Vec::new, |payment| confirmed(outpoint, payment, spend, tip, depths))
    }

    /// A transaction left the mempool without being mined.
    pub(super) fn left(&mut self, txid: Txid, replaced_by: Option<Txid>) -> Vec<Change> {
        let outputs = OutPoint { txid, vout: 0 }..=OutPoint { txid, vout: u32::MAX };
        let waiting = self.payments.range(outputs).filter(|(_, p)| p.block.is_none());
        let waiting: Vec<_> = waiting.map(|(outpoint, _)| *outpoint).collect();
        let first = OutPoint::new(Txid::all_zeros(), 0);
        let last = OutPoint::new(Txid::from_byte_array([0xff; 32]), u32::MAX);
        let spent = self.waiting.range((txid, first)..=(txid, last));
        let spent: Vec<_> = spent.map(|(_, outpoint)| *outpoint).collect();
        let mut changes = self.revert_spends(&waiting, None);
        changes.extend(self.revert_spends(&spent, replaced_by));
        changes.extend(self.revert(&waiting, replaced_by));
        changes
    }

    /// A block left the best chain. `contains`: whether a transaction that spends an output is in it.
    pub(super) fn disconnected(&mut self, block: BlockHash, contains: impl Fn(&Txid) -> bool) -> Vec<Change> {
        let gone = self.outpoints_where(|_, p| p.block.is_some_and(|(_, hash)| hash == block));
        let spent = self.spent_where(|spend| match spend.block {
            Some((_, hash)) => hash == block,
            // Its block was not reported, because that of the payment was not.
            None => spend.by.is_some_and(|by| contains(&by)),
        });
        let mut changes = self.revert_spends(&spent, None);
        changes.extend(self.revert_spends(&gone, None));
        changes.extend(self.revert(&gone, None));
        changes
    }

    /// The mempool is completely known: reverts the unconfirmed payments and spends that are not in it.
    pub(super) fn mempool_is(&mut self, contains: impl Fn(&Txid) -> bool) -> Vec<Change> {
        let gone = self.outpoints_where(|outpoint, p| p.block.is_none() && !contains(&outpoint.txid));
        let waiting = self.waiting.iter().filter(|(by, _)| !contains(by));
        let spent: Vec<_> = waiting.map(|(_, outpoint)| *outpoint).collect();
        let mut changes = self.revert_spends(&spent, None);
        changes.extend(self.revert_spends(&gone, None));
        changes.extend(self.revert(&gone, None));
        changes
    }

    /// Payments and spends in blocks up to `height` are final: they are not reverted any more, however deep a
    /// reorganisation is (API.md, Limits). Returns the outputs whose record changes.
    pub(super) fn finalize(&mut self, height: u32) -> BTreeSet<OutPoint> {
        let is_final = |block: Option<(u32, BlockHash)>| block.is_some_and(|(of, _)| of <= height);
        let mut changed = BTreeSet::new();
        for outpoint in self.outpoints_where(|_, p| is_final(p.block)) {
            if let Some(payment) = self.payments.remove(&outpoint) {
                self.coins.insert(outpoint, payment.to_coin());
                changed.insert(outpoint);
            }
        }
        for outpoint in self.spent_where(|spend| is_final(spend.block)) {
            // The payment is in the same block or below, and final too.
            self.spends.remove(&outpoint);
            self.coins.remove(&outpoint);
            changed.insert(outpoint);
        }
        changed
    }

    /// Bounds the outputs of final payments: above `most`, the smallest are forgotten, until a twentieth is free. Their
    /// spends are not reported. Those whose spend is reported stay, as it can be reverted. Returns the forgotten ones.
    pub(super) fn bound(&mut self, most: usize) -> BTreeSet<OutPoint> {
        if self.coins.len() <= most {
            return BTreeSet::new();
        }
        let excess = self.coins.len() - (most - most / 20);
        let unspent = self
            .coins
            .iter()
            .filter(|(outpoint, _)| !self.spends.contains_key(outpoint));
        let mut unspent: Vec<_> = unspent.map(|(o, coin)| (coin.amount_sats, coin.height, *o)).collect();
        unspent.sort_unstable();
        let smallest = unspent.into_iter().take(excess);
        let forgotten: BTreeSet<OutPoint> = smallest.map(|(_, _, outpoint)| outpoint).collect();
        self.coins.retain(|outpoint, _| !forgotten.contains(outpoint));
        forgotten
    }

    /// What is reported of an output with its spend; `None` if it is not kept.
    pub(super) fn coin(&self, outpoint: &OutPoint) -> Option<Coin> {
        let payment = self.payments.get(outpoint).map(KnownPayment::to_coin);
        payment.or_else(|| self.coins.get(outpoint).cloned())
    }

    fn keep(&mut self, outpoint: OutPoint, spend: Spend) {
        if let Some(by) = spend.by {
            if spend.block.is_none() {
                self.waiting.insert((by, outpoint));
            } else {
                self.waiting.remove(&(by, outpoint));
            }
        }
        self.spends.insert(outpoint, spend);
    }

    /// Sorted by txid and output, so that two relays send the same order.
    fn outpoints_where(&self, predicate: impl Fn(&OutPoint, &KnownPayment) -> bool) -> Vec<OutPoint> {
        let found = self.payments.iter().filter(|(outpoint, p)| predicate(outpoint, p));
        found.map(|(outpoint, _)| *outpoint).collect()
    }

    fn spent_where(&self, predicate: impl Fn(&Spend) -> bool) -> Vec<OutPoint> {
        let found = self.spends.iter().filter(|(_, spend)| predicate(spend));
        found.map(|(outpoint, _)| *outpoint).collect()
    }

    fn revert_spends(&mut self, outpoints: &[OutPoint], by: Option<Txid>) -> Vec<Change> {
        let spent = outpoints.iter();
        spent.filter_map(|outpoint| self.revert_spend(*outpoint, by)).collect()
    }

    fn revert_spend(&mut self, outpoint: OutPoint, by: Option<Txid>) -> Option<Change> {
        let spend = self.spends.remove(&outpoint)?;
        if let Some(by) = spend.by {
            self.waiting.remove(&(by, outpoint));
        }
        let mut spent = self.coin(&outpoint)?.spent(outpoint, &spend);
        spent.replaced_by = by.map(|t| t.to_string());
        let event = Event::PaymentSpentReverted(Box::new(spent));
        Some(Change { outpoint, event })
    }

    fn revert(&mut self, outpoints: &[OutPoint], by: Option<Txid>) -> Vec<Change> {
        let mut changes = Vec::with_capacity(outpoints.len());
        for outpoint in outpoints {
            if let Some(known) = self.payments.remove(outpoint) {
                let mut payment = known.to_payment(*outpoint);
                payment.replaced_by = by.map(|t| t.to_string());
                changes.push(Change {
                    outpoint: *outpoint,
                    event: Event::PaymentReverted(Box::new(payment)),
                });
            }
        }
        changes
    }
}

/// The depths that a payment reaches.
/// A payment of a history repeats its spend, with which it was reported: clients keep the newest report of a payment.
fn confirmed(
    outpoint: OutPoint,
    payment: &mut KnownPayment,
    spend: Option<&Spend>,
    tip: u32,
    depths: &[u32],
) -> Vec<Change> {
    let Some(above) = payment.block.and_then(|(height, _)| tip.checked_sub(height)) else {
        return Vec::new();
    };
    let depth = above.saturating_add(1);
    let mut changes = Vec::new();
    for reached in depths.iter().filter(|reached| **reached <= depth) {
        if *reached > payment.confirmed {
            payment.confirmed = *reached;
            payment.confirmations = *reached;
            let mut report = payment.to_payment(outpoint);
            if let Some((spend, (height, _))) = spend.and_then(|spend| Some((spend, spend.block?)))
                && payment.historical
            {
                report.spent_by = spend.by.map(|txid| txid.to_string());
                report.spent_height = Some(height);
            }
            let event = Event::PaymentConfirmed(Box::new(report));
            changes.push(Change { outpoint, event });
        }
    }
    changes
}

#[cfg(test)]
mod tests;
