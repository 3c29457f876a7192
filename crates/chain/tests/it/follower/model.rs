//! A simulated node as a source, with the faults of a real one: late answers, failures, lost signals.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bitcoin::{BlockHash, OutPoint, Transaction, Txid};
use sdk_relay_chain::{
    BlockRef, BlockWithPrevouts, BroadcastError, ChainSource, FeeRates, MempoolSnapshot, MempoolTx, NodeInfo, Signals,
    SourceError, SourceStatus,
};

use crate::follower::world::World;

/// The node, as a source of the follower.
pub(crate) struct Model(Mutex<World>);

impl Model {
    /// A node with a genesis block. The same seed gives the same latencies and faults.
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(World::new(seed))))
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    async fn pause(&self) {
        let pause = {
            let mut world = self.world();
            let longest = world.latency.as_millis() as u64;
            Duration::from_millis(world.random() % (longest + 1))
        };
        if pause.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(pause).await;
        }
    }

    /// Answers from the world as it is at one moment of the call.
    async fn answer<T>(
        &self,
        method: &'static str,
        answer: impl FnOnce(&mut World) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        self.pause().await;
        let result = {
            let mut world = self.world();
            *world.calls.entry(method).or_default() += 1;
            world.send_lost();
            if world.down || world.random() % 100 < world.fault_percent {
                Err(SourceError::Unreachable {
                    at: "the model".to_owned(),
                    reason: "down".to_owned(),
                })
            } else {
                answer(&mut world)
            }
        };
        self.pause().await;
        result
    }
}

#[async_trait]
impl ChainSource for Model {
    async fn status(&self) -> Result<SourceStatus, SourceError> {
        let status = |world: &mut World| SourceStatus {
            chain: world.chain.to_owned(),
            tip: world.tip(),
            headers: world.headers.unwrap_or(world.tip().height),
            initial_block_download: world.initial_block_download,
            prune_height: world.prune_height,
        };
        self.answer("status", |world| Ok(status(world))).await
    }

    async fn tip(&self) -> Result<BlockRef, SourceError> {
        self.answer("tip", |world| Ok(world.tip())).await
    }

    async fn hash_at(&self, height: u32) -> Result<Option<BlockHash>, SourceError> {
        self.answer("hash_at", |world| Ok(world.active.get(height as usize).copied()))
            .await
    }

    async fn block(&self, hash: BlockHash) -> Result<BlockWithPrevouts, SourceError> {
        let block = |world: &mut World| {
            let height = world.active.iter().position(|active| *active == hash);
            if height
                .zip(world.prune_height)
                .is_some_and(|(height, kept)| (height as u32) < kept)
            {
                return Err(SourceError::Pruned(hash));
            }
            world
                .blocks
                .get(&hash)
                .map(|block| (**block).clone())
                .ok_or(SourceError::NoSuchBlock(hash))
        };
        self.answer("block", block).await
    }

    async fn mempool(&self) -> Result<MempoolSnapshot, SourceError> {
        let snapshot = |world: &mut World| MempoolSnapshot {
            txids: world.mempool.iter().rev().map(Transaction::compute_txid).collect(),
            sequence: world.sequence,
        };
        self.answer("mempool", |world| Ok(snapshot(world))).await
    }

    async fn transactions(&self, wanted: &[Txid], known: Vec<Transaction>) -> Result<Vec<MempoolTx>, SourceError> {
        assert!(!wanted.is_empty() && known.iter().all(|tx| wanted.contains(&tx.compute_txid())));
        let found = |world: &mut World| {
            let mut there = world.mempool_txids();
            // A block may mine a known transaction during its look-up.
            let last = world.blocks[&world.tip().hash]
                .block
                .txdata
                .iter()
                .map(Transaction::compute_txid);
            there.extend(last.filter(|txid| known.iter().any(|tx| tx.compute_txid() == *txid)));
            let found = wanted
                .iter()
                .rev()
                .filter(|txid| there.contains(*txid))
                .map(|txid| world.txs[txid].clone());
            let found: Vec<_> = found.collect();
            found
                .into_iter()
                .map(|tx| MempoolTx {
                    txid: tx.compute_txid(),
                    prevouts: world.prevouts(&tx),
                    tx,
                })
                .collect()
        };
        self.answer("transactions", |world| Ok(found(world))).await
    }

    async fn spenders(&self, outpoints: &[OutPoint]) -> Result<Vec<Option<Txid>>, SourceError> {
        assert!(!outpoints.is_empty());
        let spenders = |world: &mut World| {
            let spender = |outpoint: &OutPoint| {
                let tx = world
                    .mempool
                    .iter()
                    .find(|tx| tx.input.iter().any(|i| i.previous_output == *outpoint));
                tx.map(Transaction::compute_txid)
            };
            outpoints.iter().map(spender).collect()
        };
        self.answer("spenders", |world| Ok(spenders(world))).await
    }

    fn signals(&self) -> Option<Signals> {
        self.world().subscribe().map(Signals::from)
    }

    async fn broadcast(&self, _: &Transaction) -> Result<Txid, BroadcastError> {
        unreachable!("the follower sends nothing")
    }

    async fn info(&self) -> Result<NodeInfo, SourceError> {
        unreachable!("the follower shows nothing")
    }

    async fn fee_rates(&self, _: &[u16]) -> Result<FeeRates, SourceError> {
        unreachable!("the follower pays no fees")
    }

    async fn block_info(&self, _: BlockHash) -> Result<serde_json::Value, SourceError> {
        unreachable!("the follower shows nothing")
    }
}
