//! The mempool as of the event stream.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bitcoin::{Block, BlockHash, OutPoint, Txid};

use crate::event::{MempoolTx, Spends};
use crate::source::MempoolSnapshot;

/// Blocks whose transactions are kept, to recognise a signal that arrives after the block that mined its transaction: 2
/// MB.
const MINED_BLOCKS: usize = 8;

/// Every transaction that was emitted as entered and has not left, with its inputs.
#[derive(Debug, Default)]
pub(super) struct MempoolView {
    txs: HashMap<Txid, Spends>,
    mined: VecDeque<(BlockHash, HashSet<Txid>)>,
    snapshot_sequence: u64,
}

/// How a snapshot differs from the view.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Diff {
    /// In the view only.
    pub(super) missing: Vec<Txid>,
    /// In the snapshot only, in its order.
    pub(super) new: Vec<Txid>,
}

impl MempoolView {
    pub(super) fn contains(&self, txid: &Txid) -> bool {
        self.txs.contains_key(txid)
    }

    /// The inputs of a transaction of the view.
    pub(super) fn spends(&self, txid: &Txid) -> Option<&Spends> {
        self.txs.get(txid)
    }

    /// Whether a signal with this mempool sequence number is not covered by the last snapshot. The number of the
    /// snapshot itself counts as newer: applying a change twice has no effect, and node versions differ on whether it
    /// is the number of the last change or of the next.
    pub(super) fn is_newer(&self, sequence: u64) -> bool {
        sequence >= self.snapshot_sequence
    }

    /// Whether one of the last connected blocks has the transaction.
    pub(super) fn is_mined(&self, txid: &Txid) -> bool {
        self.mined.iter().any(|(_, txids)| txids.contains(txid))
    }

    /// Adds transactions. Returns those that are new and not mined, parents before children.
    pub(super) fn enter(&mut self, found: Vec<MempoolTx>) -> Vec<Arc<MempoolTx>> {
        let mut new = Vec::with_capacity(found.len());
        for tx in found {
            if !self.is_mined(&tx.txid) && !self.contains(&tx.txid) {
                self.txs
                    .insert(tx.txid, tx.tx.input.iter().map(|input| input.previous_output).collect());
                new.push(tx);
            }
        }
        parents_first(new)
    }

    /// Removes a transaction. Returns `false` if it was not in the view.
    pub(super) fn leave(&mut self, txid: &Txid) -> bool {
        self.txs.remove(txid).is_some()
    }

    /// Removes the transactions of a connected block. Also removes, and returns, each transaction of the view that
    /// conflicts with one of the block, with that one.
    pub(super) fn mine(&mut self, hash: BlockHash, block: &Block) -> Vec<(Txid, Txid)> {
        let mut txids = HashSet::with_capacity(block.txdata.len());
        let mut spent: HashMap<OutPoint, Txid> = HashMap::new();
        for tx in &block.txdata {
            let txid = tx.compute_txid();
            txids.insert(txid);
            self.txs.remove(&txid);
            spent.extend(tx.input.iter().map(|input| (input.previous_output, txid)));
        }
        if self.mined.len() == MINED_BLOCKS {
            self.mined.pop_front();
        }
        self.mined.push_back((hash, txids));

        let by = |spends: &Spends| spends.iter().find_map(|outpoint| spent.get(outpoint)).copied();
        let conflicts: Vec<_> = self
            .txs
            .iter()
            .filter_map(|(txid, spends)| Some((*txid, by(spends)?)))
            .collect();
        for (txid, _) in &conflicts {
            self.txs.remove(txid);
        }
        conflicts
    }

    /// Forgets the transactions of a disconnected block: they may enter again.
    pub(super) fn unmine(&mut self, hash: BlockHash) {
        self.mined.retain(|(mined, _)| *mined != hash);
    }

    /// Compares with the mempool of the source. Signals that the snapshot covers are not newer from now on.
    pub(super) fn compare(&mut self, snapshot: MempoolSnapshot) -> Diff {
        self.snapshot_sequence = snapshot.sequence;
        let there: HashSet<_> = snapshot.txids.iter().copied().collect();
        let missing = self.txs.keys().filter(|txid| !there.contains(*txid)).copied().collect();
        let new = snapshot.txids.into_iter().filter(|txid| !self.contains(txid)).collect();
        Diff { missing, new }
    }
}

/// Sorts transactions so that each comes after those that it spends.
fn parents_first(txs: Vec<MempoolTx>) -> Vec<Arc<MempoolTx>> {
    let places: HashMap<Txid, usize> = txs.iter().enumerate().map(|(place, tx)| (tx.txid, place)).collect();
    let parents: Vec<Vec<usize>> = (txs.iter())
        .map(|tx| {
            tx.tx
                .input
                .iter()
                .filter_map(|i| places.get(&i.previous_output.txid).copied())
                .collect()
        })
        .collect();
    let mut txs: Vec<Option<MempoolTx>> = txs.into_iter().map(Some).collect();
    let mut sorted = Vec::with_capacity(txs.len());
    // Depth first with an explicit stack: a chain of unconfirmed transactions may be as long as the batch.
    for start in 0..txs.len() {
        let mut stack = vec![start];
        while let Some(&place) = stack.last() {
            let waiting = parents[place]
                .iter()
                .copied()
                .filter(|&parent| parent != place && txs[parent].is_some());
            let before = stack.len();
            if txs[place].is_some() {
                stack.extend(waiting);
            }
            if stack.len() == before {
                stack.pop();
                sorted.extend(txs[place].take().map(Arc::new));
            }
        }
    }
    sorted
}

#[cfg(test)]
mod tests;
