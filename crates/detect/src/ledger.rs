//! The state in which each payment to one wallet was last reported. No I/O.
//!
//! | last reported | now | event |
//! |---|---|---|
//! | nothing | in the mempool | `payment_detected`, 0 confirmations |
//! | nothing, or 0 confirmations | in a block | `payment_detected`, 1 confirmation |
//! | 0 confirmations | gone or replaced | `payment_reverted` |
//! | 1 confirmation | its block disconnected | `payment_reverted` |
//! | anything | the same again | nothing |

use std::collections::BTreeMap;

use bitcoin::{BlockHash, OutPoint, Txid};
use sdk_relay_protocol::Event;

use super::known_payment::KnownPayment;

/// Memory for the entry of each payment: nodes of the map are about half full at least.
const ENTRY_BYTES: usize = 2 * size_of::<(OutPoint, KnownPayment)>();

/// Payments to one wallet, as they were last reported. Reverted and finalized ones are not kept.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    payments: BTreeMap<OutPoint, KnownPayment>,
}

/// A change of the state of a payment.
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
    /// A ledger of payments that were reported before.
    pub(super) fn of(payments: impl IntoIterator<Item = (OutPoint, KnownPayment)>) -> Self {
        Self {
            payments: payments.into_iter().collect(),
        }
    }

    /// Memory use in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.payments.len() * ENTRY_BYTES
    }

    /// An output was seen, in the mempool or in the block of the payment.
    pub(super) fn seen(&mut self, outpoint: OutPoint, payment: KnownPayment) -> Option<Change> {
        let is_change = self
            .payments
            .get(&outpoint)
            .is_none_or(|known| known.block.is_none() && payment.block.is_some());
        is_change.then(|| {
            let change = Change::detected(outpoint, &payment);
            self.payments.insert(outpoint, payment);
            change
        })
    }

    /// A transaction left the mempool without being mined.
    pub(super) fn left(&mut self, txid: Txid, replaced_by: Option<Txid>) -> Vec<Change> {
        let outputs = OutPoint { txid, vout: 0 }..=OutPoint { txid, vout: u32::MAX };
        let waiting = self.payments.range(outputs).filter(|(_, p)| p.block.is_none());
        let waiting = waiting.map(|(outpoint, _)| *outpoint).collect();
        self.revert(waiting, replaced_by)
    }

    /// A block left the best chain.
    pub(super) fn disconnected(&mut self, block: BlockHash) -> Vec<Change> {
        let outpoints = self.outpoints_where(|_, p| p.block.is_some_and(|(_, hash)| hash == block));
        self.revert(outpoints, None)
    }

    /// The mempool is completely known: reverts the unconfirmed payments that are not in it.
    pub(super) fn mempool_is(&mut self, contains: impl Fn(&Txid) -> bool) -> Vec<Change> {
        let gone = self.outpoints_where(|outpoint, p| p.block.is_none() && !contains(&outpoint.txid));
        self.revert(gone, None)
    }

    /// Removes the payments in blocks up to `height`, whose payments are not reverted any more, however deep a
    /// reorganisation is (API.md, Limits). Returns what was removed.
    pub(super) fn finalize(&mut self, height: u32) -> Vec<OutPoint> {
        let finalized = self.outpoints_where(|_, p| p.block.is_some_and(|(of, _)| of <= height));
        for outpoint in &finalized {
            self.payments.remove(outpoint);
        }
        finalized
    }

    /// Sorted by txid and output, so that two relays send the same order.
    fn outpoints_where(&self, predicate: impl Fn(&OutPoint, &KnownPayment) -> bool) -> Vec<OutPoint> {
        let found = self.payments.iter().filter(|(outpoint, p)| predicate(outpoint, p));
        found.map(|(outpoint, _)| *outpoint).collect()
    }

    fn revert(&mut self, outpoints: Vec<OutPoint>, by: Option<Txid>) -> Vec<Change> {
        let mut changes = Vec::with_capacity(outpoints.len());
        for outpoint in outpoints {
            if let Some(known) = self.payments.remove(&outpoint) {
                let mut payment = known.to_payment(outpoint);
                payment.replaced_by = by.map(|t| t.to_string());
                changes.push(Change {
                    outpoint,
                    event: Event::PaymentReverted(Box::new(payment)),
                });
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests;
