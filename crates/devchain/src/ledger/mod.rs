//! The chain's state: best chain, unspent coins, mempool. Pure and deterministic: no file, no clock.

mod accept;
mod mempool;
mod policy;
mod template;
mod verify;

use std::collections::{HashMap, HashSet};

use bitcoin::{Block, BlockHash, Network, OutPoint, Transaction, TxOut, Txid, constants};

use super::file::Place;
use super::record::StoredBlock;
use sdk_relay_chain::{BlockRef, Signal};

pub(super) use accept::Accepted;
pub use accept::Rejection;
pub(super) use mempool::{Entry, Mempool};
pub(super) use policy::{INCREMENTAL_FEE, MAX_MEMPOOL, MIN_RELAY_FEE};
pub(super) use template::Template;

/// Number of blocks of the median time (BIP113).
pub(super) const MEDIAN_SPAN: usize = 11;
/// Depth at which a coinbase can be spent (consensus).
pub(super) const MATURITY: u32 = constants::COINBASE_MATURITY;

/// Longer scripts cannot be executed (`MAX_SCRIPT_SIZE`).
const MAX_SCRIPT: usize = 10_000;

/// An unspent output and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Coin {
    pub(super) txout: TxOut,
    pub(super) height: u32,
    pub(super) coinbase: bool,
}

/// A block of the best chain or of a stale branch. `place` is `None` only for the genesis block, which is not in the
/// file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockEntry {
    pub(super) parent: BlockHash,
    pub(super) height: u32,
    pub(super) time: u32,
    pub(super) place: Option<Place>,
}

/// A block is inconsistent with the state: the file was not written by this program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Inconsistent {
    #[error("block {0} does not extend the tip")]
    Parent(BlockHash),
    #[error("block {block} spends {outpoint}, which does not exist")]
    Missing { block: BlockHash, outpoint: OutPoint },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ledger {
    best: Vec<BlockHash>,
    blocks: HashMap<BlockHash, BlockEntry>,
    coins: HashMap<OutPoint, Coin>,
    pub(super) mempool: Mempool,
}

impl Ledger {
    /// A chain with only the genesis block, whose coinbase is not spendable (consensus).
    pub(super) fn new() -> Self {
        let genesis = constants::genesis_block(Network::Regtest);
        let entry = BlockEntry {
            parent: genesis.header.prev_blockhash,
            height: 0,
            time: genesis.header.time,
            place: None,
        };
        Self {
            best: vec![genesis.block_hash()],
            blocks: HashMap::from([(genesis.block_hash(), entry)]),
            coins: HashMap::new(),
            mempool: Mempool::default(),
        }
    }

    pub(super) fn tip(&self) -> BlockRef {
        let height = self.best.len().saturating_sub(1) as u32;
        let hash = self.best.last().copied().unwrap_or_else(genesis_hash);
        BlockRef { height, hash }
    }

    pub(super) fn hash_at(&self, height: u32) -> Option<BlockHash> {
        self.best.get(height as usize).copied()
    }

    pub(super) fn entry(&self, hash: &BlockHash) -> Option<&BlockEntry> {
        self.blocks.get(hash)
    }

    pub(super) fn coins(&self) -> impl Iterator<Item = (&OutPoint, &Coin)> {
        self.coins.iter()
    }

    /// The times of a block and its ancestors, newest first, for the median.
    pub(super) fn recent_times(&self, hash: BlockHash) -> Vec<u32> {
        let entries = std::iter::successors(self.blocks.get(&hash), |entry| self.blocks.get(&entry.parent));
        entries.take(MEDIAN_SPAN).map(|entry| entry.time).collect()
    }

    /// Median time past of a block (BIP113), the block included.
    pub(super) fn median_time(&self, hash: BlockHash) -> u32 {
        median(self.recent_times(hash))
    }

    /// The coin at `outpoint`: confirmed, or created by a mempool transaction (which then counts as of the next block),
    /// whether or not it is spent in the mempool.
    pub(super) fn coin(&self, outpoint: &OutPoint) -> Option<Coin> {
        if let Some(coin) = self.coins.get(outpoint) {
            return Some(coin.clone());
        }
        let parent = self.mempool.get(&outpoint.txid)?;
        Some(Coin {
            txout: parent.tx.output.get(outpoint.vout as usize)?.clone(),
            height: self.tip().height + 1,
            coinbase: false,
        })
    }

    /// Replaces the blocks `old` (tip first) by `new` (lowest first). `old` is empty when the chain only grows. Returns
    /// the signals of the mempool: transactions of `old` enter it again, those without inputs leave it.
    pub(super) fn apply(
        &mut self,
        old: &[StoredBlock],
        new: &[(StoredBlock, Place)],
    ) -> Result<Vec<Signal>, Inconsistent> {
        for stored in old {
            self.disconnect(stored)?;
        }
        for (stored, place) in new {
            self.connect(&stored.block, *place)?;
        }
        if old.is_empty() {
            return Ok(Vec::new());
        }
        let returned = old.iter().rev().flat_map(|stored| stored.block.txdata.iter().skip(1));
        let mined: HashSet<Txid> = new.iter().flat_map(|(stored, _)| txids(&stored.block)).collect();
        let returned = returned.filter(|tx| !mined.contains(&tx.compute_txid())).cloned();
        Ok(self.refill(returned.collect()))
    }

    fn connect(&mut self, block: &Block, place: Place) -> Result<(), Inconsistent> {
        let (hash, tip) = (block.block_hash(), self.tip());
        if block.header.prev_blockhash != tip.hash {
            return Err(Inconsistent::Parent(hash));
        }
        let height = tip.height + 1;
        for tx in &block.txdata {
            let coinbase = tx.is_coinbase();
            if !coinbase {
                for input in &tx.input {
                    let outpoint = input.previous_output;
                    self.coins
                        .remove(&outpoint)
                        .ok_or(Inconsistent::Missing { block: hash, outpoint })?;
                }
            }
            let txid = tx.compute_txid();
            for (vout, txout) in (0..).zip(&tx.output).filter(|(_, txout)| spendable(txout)) {
                let coin = Coin {
                    txout: txout.clone(),
                    height,
                    coinbase,
                };
                self.coins.insert(OutPoint { txid, vout }, coin);
            }
            self.mempool.mined(&txid);
        }
        let entry = BlockEntry {
            parent: tip.hash,
            height,
            time: block.header.time,
            place: Some(place),
        };
        self.blocks.insert(hash, entry);
        self.best.push(hash);
        Ok(())
    }

    fn disconnect(&mut self, stored: &StoredBlock) -> Result<(), Inconsistent> {
        let hash = stored.block.block_hash();
        if hash != self.tip().hash || self.best.len() < 2 {
            return Err(Inconsistent::Parent(hash));
        }
        let mut spent = stored.spent.iter().rev();
        // In reverse, so that a coin created and spent within the block is restored and then removed.
        for tx in stored.block.txdata.iter().rev() {
            let txid = tx.compute_txid();
            for (vout, _) in (0..).zip(&tx.output) {
                self.coins.remove(&OutPoint { txid, vout });
            }
            if !tx.is_coinbase() {
                for (input, coin) in tx.input.iter().rev().zip(spent.by_ref()) {
                    self.coins.insert(input.previous_output, coin.clone());
                }
            }
        }
        self.best.pop();
        Ok(())
    }

    /// Rebuilds the mempool after a reorganisation: first the returned transactions, then the previous ones, in order.
    fn refill(&mut self, returned: Vec<Transaction>) -> Vec<Signal> {
        let before = self.mempool.drain();
        let known: HashSet<Txid> = before.iter().map(Transaction::compute_txid).collect();
        let mut signals = Vec::new();
        for tx in returned.into_iter().chain(before) {
            let txid = tx.compute_txid();
            match self.check_context(&tx) {
                Ok(accepted) if known.contains(&txid) => self.mempool.restore(accepted),
                Ok(accepted) => signals.push(self.mempool.enter(accepted)),
                Err(_) if known.contains(&txid) => signals.push(self.mempool.left(txid)),
                Err(_) => {}
            }
        }
        signals
    }
}

fn txids(block: &Block) -> impl Iterator<Item = Txid> {
    block.txdata.iter().map(Transaction::compute_txid)
}

/// Whether an output is spendable; others are not added to the coins.
fn spendable(txout: &TxOut) -> bool {
    !txout.script_pubkey.is_op_return() && txout.script_pubkey.len() <= MAX_SCRIPT
}

fn genesis_hash() -> BlockHash {
    constants::genesis_block(Network::Regtest).block_hash()
}

pub(super) fn median(mut times: Vec<u32>) -> u32 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
