//! What has been told of each payment to one wallet: a function of what is seen, without I/O.
//!
//! | told last | seen | told now |
//! |---|---|---|
//! | nothing | in the mempool | `payment_detected`, 0 confirmations |
//! | nothing, or 0 confirmations | in a block | `payment_detected`, 1 confirmation |
//! | 0 confirmations | gone or replaced | `payment_reverted` |
//! | 1 confirmation | its block disconnected | `payment_reverted` |
//! | anything | the same again | nothing |

use std::collections::HashMap;
use std::sync::Arc;

use bitcoin::{OutPoint, Txid};
use sdk_relay_protocol::{Event, Payment};

/// Payments to one wallet, as they were told last. Reverted and buried ones are not kept. Watches with equal keys share the payments: a ledger has
/// their places only.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    by_txid: HashMap<Txid, Vec<(u32, Arc<Payment>)>>,
}

/// A payment about which there is news.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    pub(super) outpoint: OutPoint,
    /// What to tell.
    pub(super) event: Event,
    /// What holds now: to be kept, or `None` to be forgotten.
    pub(super) kept: Option<Arc<Payment>>,
}

impl Ledger {
    /// A ledger of payments that were told before.
    pub(super) fn of(payments: impl IntoIterator<Item = (OutPoint, Payment)>) -> Self {
        let mut ledger = Self::default();
        for (outpoint, payment) in payments {
            ledger
                .by_txid
                .entry(outpoint.txid)
                .or_default()
                .push((outpoint.vout, Arc::new(payment)));
        }
        ledger
    }

    /// An output was seen, in the mempool or in a block as the payment says.
    pub(super) fn seen(&mut self, outpoint: OutPoint, payment: Arc<Payment>) -> Option<Change> {
        let outputs = self.by_txid.entry(outpoint.txid).or_default();
        match outputs.iter_mut().find(|(vout, _)| *vout == outpoint.vout) {
            Some((_, told)) if told.block_hash.is_none() && payment.block_hash.is_some() => {
                *told = Arc::clone(&payment);
            }
            Some(_) => return None,
            None => outputs.push((outpoint.vout, Arc::clone(&payment))),
        }
        let event = Event::PaymentDetected(Box::new(Payment::clone(&payment)));
        Some(Change {
            outpoint,
            event,
            kept: Some(payment),
        })
    }

    /// A transaction left the mempool without being mined.
    pub(super) fn left(&mut self, txid: Txid, replaced_by: Option<Txid>) -> Vec<Change> {
        self.revert(txid, replaced_by, |p| p.block_hash.is_none())
    }

    /// A block left the best chain.
    pub(super) fn disconnected(&mut self, block_hash: &str) -> Vec<Change> {
        let of_block = |p: &Payment| p.block_hash.as_deref() == Some(block_hash);
        self.txids_where(of_block)
            .into_iter()
            .flat_map(|txid| self.revert(txid, None, of_block))
            .collect()
    }

    /// The mempool is known as a whole: whatever was told to be in it and is not, is gone.
    pub(super) fn mempool_is(&mut self, contains: impl Fn(&Txid) -> bool) -> Vec<Change> {
        let waiting = self.txids_where(|p| p.block_hash.is_none());
        waiting
            .into_iter()
            .filter(|txid| !contains(txid))
            .flat_map(|txid| self.left(txid, None))
            .collect()
    }

    /// Forgets what lies in blocks up to `height`: no reorganisation that can be told reaches it. Gives what was forgotten.
    pub(super) fn bury(&mut self, height: u32) -> Vec<OutPoint> {
        let is_buried = |p: &Payment| p.block_height.is_some_and(|h| h <= height);
        let mut buried = Vec::new();
        self.by_txid.retain(|txid, outputs| {
            outputs.retain(|(vout, payment)| {
                if is_buried(payment) {
                    buried.push(OutPoint {
                        txid: *txid,
                        vout: *vout,
                    });
                }
                !is_buried(payment)
            });
            !outputs.is_empty()
        });
        buried
    }

    fn txids_where(&self, wanted: impl Fn(&Payment) -> bool) -> Vec<Txid> {
        let mut txids: Vec<Txid> = self
            .by_txid
            .iter()
            .filter(|(_, o)| o.iter().any(|(_, p)| wanted(p)))
            .map(|(t, _)| *t)
            .collect();
        // The map has no order of its own, and two relays should tell the same story.
        txids.sort_unstable();
        txids
    }

    fn revert(&mut self, txid: Txid, by: Option<Txid>, wanted: impl Fn(&Payment) -> bool) -> Vec<Change> {
        let Some(outputs) = self.by_txid.get_mut(&txid) else {
            return Vec::new();
        };
        let mut changes = Vec::new();
        outputs.retain(|(vout, payment)| {
            if wanted(payment) {
                let mut told = Payment::clone(payment);
                told.replaced_by = by.map(|t| t.to_string());
                let event = Event::PaymentReverted(Box::new(told));
                changes.push(Change {
                    outpoint: OutPoint { txid, vout: *vout },
                    event,
                    kept: None,
                });
            }
            !wanted(payment)
        });
        if outputs.is_empty() {
            self.by_txid.remove(&txid);
        }
        changes
    }
}

#[cfg(test)]
mod tests;
