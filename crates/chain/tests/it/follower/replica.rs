//! State of a consumer, built from the events only. Every event is checked against the guarantees of the stream.

use std::collections::{HashMap, HashSet};

use bitcoin::Txid;
use sdk_relay_chain::{BlockRef, ChainEvent, LeaveReason};

use crate::follower::world::World;

#[derive(Debug, Default)]
pub(crate) struct Replica {
    /// Recent blocks, oldest first.
    pub(crate) recent: Vec<BlockRef>,
    /// Transactions reported by this stream.
    pub(crate) mempool: HashSet<Txid>,
    /// Whether this stream has reported the complete mempool.
    pub(crate) synced: bool,
    /// Why transactions left. In the model none returns: one that left and is seen again was mined, and should not have
    /// left.
    pub(crate) left: HashMap<Txid, LeaveReason>,
    /// How often the stream jumped.
    pub(crate) jumps: u32,
    /// Events of the chain and the mempool so far.
    pub(crate) events: u64,
}

impl Replica {
    pub(crate) fn tip(&self) -> Option<BlockRef> {
        self.recent.last().copied()
    }

    /// A new stream begins; the consumer was killed and has kept its last blocks.
    pub(crate) fn restart(&mut self, keep: usize) {
        self.recent.drain(..self.recent.len().saturating_sub(keep));
        self.mempool.clear();
        self.synced = false;
    }

    pub(crate) fn matches(&self, world: &World) -> bool {
        self.synced && self.tip() == Some(world.tip()) && self.mempool == world.mempool_txids()
    }

    pub(crate) fn apply(&mut self, event: &ChainEvent, world: &World) {
        self.events += 1;
        match event {
            ChainEvent::BlockConnected { at, block } => {
                let tip = self.tip().expect("the first event of a new consumer is a jump");
                assert_eq!(
                    (at.height, block.block.header.prev_blockhash),
                    (tip.height + 1, tip.hash),
                    "extends the tip"
                );
                assert_eq!(block.block.block_hash(), at.hash);
                let mut txids = block.block.txdata.iter().map(bitcoin::Transaction::compute_txid);
                assert!(
                    !txids.any(|txid| self.left.contains_key(&txid)),
                    "left by its block only"
                );
                assert_eq!(block.prevouts.len(), block.block.txdata.len());
                block.block.txdata.iter().for_each(|tx| {
                    self.mempool.remove(&tx.compute_txid());
                });
                self.recent.push(*at);
            }
            ChainEvent::BlockDisconnected { at, parent } => {
                assert_eq!(self.recent.pop(), Some(*at), "names the tip");
                assert_eq!(parent.height + 1, at.height);
                match self.tip() {
                    Some(tip) => assert_eq!(tip, *parent, "names the block below"),
                    None => self.recent.push(*parent),
                }
            }
            ChainEvent::Jumped { at } => {
                self.recent = vec![*at];
                self.jumps += 1;
            }
            ChainEvent::TxsEntered(txs) => {
                assert!(!txs.is_empty());
                let mut later: HashSet<_> = txs.iter().map(|tx| tx.txid).collect();
                assert_eq!(later.len(), txs.len(), "each once");
                for tx in txs {
                    later.remove(&tx.txid);
                    assert!(
                        !tx.tx.input.iter().any(|i| later.contains(&i.previous_output.txid)),
                        "parents first"
                    );
                    assert_eq!(tx.txid, tx.tx.compute_txid());
                    assert!(!self.left.contains_key(&tx.txid), "had not left");
                    assert_eq!(tx.prevouts, world.prevouts(&tx.tx));
                    assert!(self.mempool.insert(tx.txid), "emitted as entered twice");
                }
            }
            ChainEvent::TxLeft { txid, reason } => {
                assert!(
                    self.mempool.remove(txid),
                    "left without having entered, or after its block"
                );
                if let LeaveReason::Replaced { by } = reason {
                    assert!(
                        by != txid && world.conflict(by, txid),
                        "replaced by a transaction that spends the same"
                    );
                }
                self.left.insert(*txid, *reason);
            }
            ChainEvent::MempoolSynced => {
                self.events -= 1;
                self.synced = true;
            }
        }
    }
}
