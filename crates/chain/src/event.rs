//! What the follower tells: one ordered stream of chain events.

use std::sync::Arc;

use bitcoin::{Amount, Block, BlockHash, OutPoint, Transaction, TxOut, Txid};

/// A block's place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockRef {
    /// Distance from the genesis block.
    pub height: u32,
    /// Hash of the block's header.
    pub hash: BlockHash,
}

/// A block with everything that its transactions spend.
#[derive(Clone, Debug)]
pub struct BlockWithPrevouts {
    /// The block as the node has it.
    pub block: Block,
    /// One entry for each transaction, one prevout for each of its inputs, in order. The coinbase's entry is empty.
    pub prevouts: Vec<Vec<TxOut>>,
    /// Serialised size in bytes, witness included (`size` of the RPC `getblock`).
    pub size: usize,
}

/// A transaction of the mempool with everything that it spends.
#[derive(Clone, Debug)]
pub struct MempoolTx {
    /// Hash of `tx` without its witness.
    pub txid: Txid,
    /// The transaction.
    pub tx: Transaction,
    /// One prevout for each input, in order.
    pub prevouts: Vec<TxOut>,
}

impl MempoolTx {
    /// What the inputs bring beyond what the outputs take.
    pub fn fee(&self) -> Amount {
        fee(&self.tx, &self.prevouts).unwrap_or(Amount::ZERO)
    }
}

/// The fee of a transaction: its prevouts' sum less its outputs' sum. `None` for a coinbase, or when the sums make no
/// sense.
pub fn fee(tx: &Transaction, prevouts: &[TxOut]) -> Option<Amount> {
    if tx.is_coinbase() || prevouts.len() != tx.input.len() {
        return None;
    }
    let sum = |outs: &[TxOut]| outs.iter().try_fold(Amount::ZERO, |a, o| a.checked_add(o.value));
    sum(prevouts)?.checked_sub(sum(&tx.output)?)
}

/// Why a transaction is no longer in the mempool, other than by being mined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveReason {
    /// Another transaction spends one of its inputs.
    Replaced {
        /// The transaction that took its place.
        by: Txid,
    },
    /// Expired, evicted, or its conflict is not known.
    Removed,
}

/// One step of the chain or the mempool, in the order in which it is to be applied.
///
/// Guarantees of the stream: `BlockConnected` always extends the tip that the stream has told before,
/// `BlockDisconnected` always names that tip. A transaction that is mined leaves the mempool by its block alone; there
/// is no `TxLeft` for it.
#[derive(Clone, Debug)]
pub enum ChainEvent {
    /// A block extends the tip.
    BlockConnected {
        /// Its place.
        at: BlockRef,
        /// The block and what it spends.
        block: Arc<BlockWithPrevouts>,
    },
    /// The tip is no longer in the best chain.
    BlockDisconnected {
        /// The tip that goes.
        at: BlockRef,
        /// The tip that holds again.
        parent: BlockRef,
    },
    /// History cannot be followed without a hole (pruned blocks, another chain): the stream goes on after `at` without
    /// the blocks between.
    Jumped {
        /// The tip from which the stream goes on.
        at: BlockRef,
    },
    /// Transactions entered the mempool, parents before children where both are here.
    TxsEntered(Vec<Arc<MempoolTx>>),
    /// A transaction left the mempool without being mined.
    TxLeft {
        /// Which.
        txid: Txid,
        /// Why.
        reason: LeaveReason,
    },
    /// Everything in the node's mempool has been told by this stream: what the consumer knows from before the stream
    /// began, and this stream has not told, is gone. Sent after each start and after each loss of signals, after the
    /// events that it speaks of.
    MempoolSynced,
}

/// An input that a mempool transaction spends: what finds the transaction that replaced another.
pub type Spends = Box<[OutPoint]>;
