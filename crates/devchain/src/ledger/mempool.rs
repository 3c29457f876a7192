//! Unconfirmed transactions.

use std::collections::{BTreeMap, HashMap};

use bitcoin::{Amount, OutPoint, Transaction, TxOut, Txid};

use super::accept::Accepted;
use sdk_relay_chain::Signal;

/// Approximate memory of a transaction in addition to its bytes: map entries and allocations.
const OVERHEAD: usize = 400;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) tx: Transaction,
    pub(crate) prevouts: Vec<TxOut>,
    pub(crate) fee: Amount,
    pub(crate) vsize: u64,
    pub(crate) sigops: usize,
    /// Its position in the order of arrival.
    position: u64,
}

/// Guarantee: the order of arrival is topological, because a transaction enters after its parents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mempool {
    entries: HashMap<Txid, Entry>,
    order: BTreeMap<u64, Txid>,
    spenders: HashMap<OutPoint, Txid>,
    next_position: u64,
    sequence: u64,
    vsize: u64,
}

impl Mempool {
    pub(crate) fn get(&self, txid: &Txid) -> Option<&Entry> {
        self.entries.get(txid)
    }

    /// Parents before children.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = (&Txid, &Entry)> {
        self.order
            .values()
            .filter_map(|txid| Some((txid, self.entries.get(txid)?)))
    }

    pub(crate) fn spender(&self, outpoint: &OutPoint) -> Option<Txid> {
        self.spenders.get(outpoint).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Sum of the virtual sizes.
    pub(crate) fn vsize(&self) -> u64 {
        self.vsize
    }

    /// Bytes of memory, estimated.
    pub(crate) fn usage(&self) -> usize {
        let bytes = |entry: &Entry| entry.tx.total_size() + entry.prevouts.iter().map(TxOut::size).sum::<usize>();
        self.entries.values().map(|entry| bytes(entry) + OVERHEAD).sum()
    }

    /// Counts every change that has a signal.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// `txid` and its descendants, in no particular order. Stops beyond `most`.
    pub(super) fn with_descendants(&self, txid: Txid, most: usize, found: &mut Vec<Txid>) {
        let mut waiting = vec![txid];
        while let Some(txid) = waiting.pop() {
            if found.contains(&txid) || found.len() > most {
                continue;
            }
            found.push(txid);
            let outputs = self.get(&txid).map_or(0, |entry| entry.tx.output.len() as u32);
            waiting.extend((0..outputs).filter_map(|vout| self.spender(&OutPoint { txid, vout })));
        }
    }

    /// Adds a transaction without conflicts.
    pub(super) fn enter(&mut self, accepted: Accepted) -> Signal {
        let (txid, tx) = (accepted.txid, Box::new(accepted.tx.clone()));
        self.restore(accepted);
        self.sequence += 1;
        Signal::Entered {
            txid,
            tx: Some(tx),
            sequence: self.sequence,
        }
    }

    /// Adds a transaction without a signal, because its removal was not signalled.
    pub(super) fn restore(&mut self, accepted: Accepted) {
        let Accepted {
            txid,
            tx,
            prevouts,
            fee,
            vsize,
            sigops,
            ..
        } = accepted;
        self.spenders
            .extend(tx.input.iter().map(|input| (input.previous_output, txid)));
        let position = self.next_position;
        self.next_position += 1;
        self.vsize += vsize;
        self.order.insert(position, txid);
        let entry = Entry {
            tx,
            prevouts,
            fee,
            vsize,
            sigops,
            position,
        };
        self.entries.insert(txid, entry);
    }

    pub(super) fn evict(&mut self, txid: Txid) -> Signal {
        self.mined(&txid);
        self.left(txid)
    }

    /// The signal for a removed transaction.
    pub(super) fn left(&mut self, txid: Txid) -> Signal {
        self.sequence += 1;
        Signal::Left {
            txid,
            sequence: self.sequence,
        }
    }

    /// Removes a transaction without a signal, if it exists.
    pub(super) fn mined(&mut self, txid: &Txid) {
        if let Some(entry) = self.entries.remove(txid) {
            self.order.remove(&entry.position);
            self.vsize -= entry.vsize;
            for input in &entry.tx.input {
                self.spenders.remove(&input.previous_output);
            }
        }
    }

    /// Removes all transactions, in order.
    pub(super) fn drain(&mut self) -> Vec<Transaction> {
        let order = std::mem::take(&mut self.order);
        let txs = order.values().filter_map(|txid| self.entries.remove(txid));
        let txs = txs.map(|entry| entry.tx).collect();
        self.spenders.clear();
        self.vsize = 0;
        txs
    }
}
