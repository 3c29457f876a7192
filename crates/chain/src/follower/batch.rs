//! Collapses queued signals into their net effect.

use std::collections::HashMap;

use bitcoin::{Transaction, Txid};

use super::mempool_view::MempoolView;
use crate::source::Signal;

/// Transactions looked up and emitted together. A batch is one round trip to the node, which takes about 10 ms for this
/// many.
pub(super) const BATCH: usize = 256;

/// Net effect of a sequence of signals: a transaction that entered and left within it is not looked up.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The chain changed.
    pub(super) chain: bool,
    /// Signals were lost: compare chain and mempool with the source.
    pub(super) lost: bool,
    /// Transactions of the view that left, in order.
    pub(super) left: Vec<Txid>,
    /// Transactions that entered and are not in the view after `left` is removed from it, in order.
    pub(super) entered: Vec<Txid>,
    /// Transactions of `entered` that the signals contained.
    pub(super) known: HashMap<Txid, Transaction>,
}

impl Batch {
    /// Whether the batch has reached [`BATCH`].
    pub(super) fn is_full(&self) -> bool {
        self.entered.len() + self.left.len() >= BATCH
    }

    /// Adds the next signal.
    pub(super) fn push(&mut self, signal: Signal, view: &MempoolView) {
        match signal {
            Signal::Chain => self.chain = true,
            // A full comparison follows, and earlier signals may be from before a restart of the node: discard them.
            Signal::Lost => {
                self.lost = true;
                self.left.clear();
                self.entered.clear();
                self.known.clear();
            }
            Signal::Entered { txid, tx, sequence } if view.is_newer(sequence) => {
                let there = view.contains(&txid) && !self.left.contains(&txid);
                if !there && !self.entered.contains(&txid) {
                    self.entered.push(txid);
                    self.known.extend(tx.map(|tx| (txid, *tx)));
                }
            }
            Signal::Left { txid, sequence } if view.is_newer(sequence) => {
                if let Some(place) = self.entered.iter().position(|entered| *entered == txid) {
                    self.entered.remove(place);
                    self.known.remove(&txid);
                } else if view.contains(&txid) && !self.left.contains(&txid) {
                    self.left.push(txid);
                }
            }
            Signal::Entered { .. } | Signal::Left { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::absolute::LockTime;
    use bitcoin::transaction::Version;

    use super::*;
    use crate::event::MempoolTx;

    fn tx(tag: u32) -> MempoolTx {
        let tx = Transaction {
            version: Version::TWO,
            lock_time: LockTime::from_consensus(tag),
            input: Vec::new(),
            output: Vec::new(),
        };
        MempoolTx {
            txid: tx.compute_txid(),
            tx,
            prevouts: Vec::new(),
        }
    }

    fn entered(tag: u32, sequence: u64) -> Signal {
        Signal::Entered {
            txid: tx(tag).txid,
            tx: Some(Box::new(tx(tag).tx)),
            sequence,
        }
    }

    fn left(tag: u32, sequence: u64) -> Signal {
        Signal::Left {
            txid: tx(tag).txid,
            sequence,
        }
    }

    /// The batch of `signals` for a mempool view that holds transaction 1.
    fn batch(signals: impl IntoIterator<Item = Signal>) -> Batch {
        let mut view = MempoolView::default();
        view.enter(vec![tx(1)]);
        let mut batch = Batch::default();
        signals.into_iter().for_each(|signal| batch.push(signal, &view));
        assert!(batch.known.keys().all(|txid| batch.entered.contains(txid)));
        batch
    }

    #[test]
    fn a_transaction_that_entered_and_left_is_not_emitted() {
        let batch = batch([entered(2, 1), entered(3, 2), left(2, 3)]);
        assert_eq!((batch.entered, batch.left), (vec![tx(3).txid], vec![]));
    }

    #[test]
    fn a_transaction_that_left_and_entered_is_emitted_as_both() {
        let back = batch([left(1, 1), entered(1, 2)]);
        assert_eq!((back.entered, back.left), (vec![tx(1).txid], vec![tx(1).txid]));
        let gone = batch([left(1, 1), entered(1, 2), left(1, 3)]);
        assert_eq!((gone.entered, gone.left), (vec![], vec![tx(1).txid]));
    }

    #[test]
    fn repeated_and_unknown_transactions_are_ignored() {
        let batch = batch([entered(1, 1), entered(2, 2), entered(2, 2), left(9, 3)]);
        assert_eq!((batch.entered, batch.left), (vec![tx(2).txid], vec![]));
    }

    #[test]
    fn chain_and_loss_are_kept() {
        let batch = batch([Signal::Chain, Signal::Lost]);
        assert!(batch.chain && batch.lost);
    }

    #[test]
    fn signals_before_a_loss_are_discarded() {
        let batch = batch([entered(2, 1), left(1, 2), Signal::Lost, entered(3, 3)]);
        assert_eq!((batch.entered, batch.left), (vec![tx(3).txid], vec![]));
    }
}
