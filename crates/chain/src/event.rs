//! The events of the follower: one ordered stream.

use std::sync::Arc;

use bitcoin::{Amount, Block, BlockHash, OutPoint, Transaction, TxOut, Txid};
use tokio::time::Instant;

/// Height and hash of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockRef {
    /// Height: 0 for the genesis block.
    pub height: u32,
    /// Hash of the block's header.
    pub hash: BlockHash,
}

/// A block with the outputs that its transactions spend.
#[derive(Clone, Debug)]
pub struct BlockWithPrevouts {
    /// The block as the node has it.
    pub block: Block,
    /// One entry for each transaction, one prevout for each of its inputs, in order. The coinbase's entry is empty.
    pub prevouts: Vec<Vec<TxOut>>,
    /// Serialised size in bytes, witness included (`size` of the RPC `getblock`).
    pub size: usize,
}

/// A mempool transaction with the outputs that it spends.
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
    /// Sum of the inputs minus sum of the outputs.
    pub fn fee(&self) -> Amount {
        fee(&self.tx, &self.prevouts).unwrap_or(Amount::ZERO)
    }
}

/// The fee of a transaction: the sum of its prevouts minus the sum of its outputs. `None` for a coinbase, or if the
/// outputs exceed the prevouts.
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
        /// The transaction that replaced it.
        by: Txid,
    },
    /// Expired, evicted, or its conflict is not known.
    Removed,
}

/// One step of the chain or the mempool, in the order in which it is to be applied.
///
/// Guarantees of the stream: `BlockConnected` always extends the tip of the previous event, `BlockDisconnected` always
/// names that tip. A transaction that is mined leaves the mempool by its block alone; there is no `TxLeft` for it.
#[derive(Clone, Debug)]
pub enum ChainEvent {
    /// A block extends the tip.
    BlockConnected {
        /// Height and hash.
        at: BlockRef,
        /// The block and its prevouts.
        block: Arc<BlockWithPrevouts>,
    },
    /// The tip is no longer in the best chain.
    BlockDisconnected {
        /// The tip that is disconnected.
        at: BlockRef,
        /// The new tip.
        parent: BlockRef,
    },
    /// History cannot be followed without a hole (pruned blocks, another chain): the stream continues after `at`,
    /// without events for the blocks in between.
    Jumped {
        /// The tip after which the stream continues.
        at: BlockRef,
    },
    /// Transactions entered the mempool, parents before children if both are in the list.
    TxsEntered(Vec<Arc<MempoolTx>>),
    /// A transaction left the mempool without being mined.
    TxLeft {
        /// Which.
        txid: Txid,
        /// Why.
        reason: LeaveReason,
    },
    /// The mempool as of the stream is complete: a transaction that the consumer knows from before the stream began,
    /// and that the stream has not reported since, has left the mempool. Sent after each start, each loss of signals
    /// and each reorganisation, once all their `TxsEntered` and `TxLeft` are sent.
    MempoolSynced,
}

/// An event, and when the follower learned of it.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The event.
    pub event: ChainEvent,
    /// When the signal arrived, or the poll began, that led to it.
    pub noticed: Instant,
    /// When everything that it contains was available.
    pub available: Instant,
}

/// The inputs that a mempool transaction spends. They identify the transaction that replaced another.
pub type Spends = Box<[OutPoint]>;
