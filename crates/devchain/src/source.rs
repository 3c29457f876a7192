//! Implements `ChainSource` for the development chain.

use async_trait::async_trait;
use bitcoin::{BlockHash, OutPoint, Transaction, Txid};

use super::error::WriteError;
use super::ledger::MIN_RELAY_FEE;
use super::record::size_of;
use super::{DevChain, info};
use sdk_relay_chain::{
    BlockRef, BlockWithPrevouts, BroadcastError, ChainSource, ConfirmedTx, FeeRates, MempoolSnapshot, MempoolTx,
    NodeInfo, OUTPUTS_TRIED, Signals, SourceError, SourceStatus,
};

#[async_trait]
impl ChainSource for DevChain {
    async fn status(&self) -> Result<SourceStatus, SourceError> {
        let tip = self.state().ledger.tip();
        Ok(SourceStatus {
            chain: "regtest".into(),
            tip,
            headers: tip.height,
            initial_block_download: false,
            prune_height: None,
        })
    }

    async fn tip(&self) -> Result<BlockRef, SourceError> {
        Ok(self.state().ledger.tip())
    }

    async fn hash_at(&self, height: u32) -> Result<Option<BlockHash>, SourceError> {
        Ok(self.state().ledger.hash_at(height))
    }

    async fn block(&self, hash: BlockHash) -> Result<BlockWithPrevouts, SourceError> {
        let stored = self.state().stored(hash)?;
        Ok(BlockWithPrevouts {
            prevouts: stored.prevouts(),
            size: size_of(&stored.block),
            block: stored.block,
        })
    }

    async fn mempool(&self) -> Result<MempoolSnapshot, SourceError> {
        let state = self.state();
        let mempool = &state.ledger.mempool;
        Ok(MempoolSnapshot {
            txids: mempool.in_order().map(|(txid, _)| *txid).collect(),
            sequence: mempool.sequence(),
        })
    }

    async fn transactions(&self, wanted: &[Txid], _known: Vec<Transaction>) -> Result<Vec<MempoolTx>, SourceError> {
        let state = self.state();
        let found = wanted.iter().filter_map(|txid| {
            let entry = state.ledger.mempool.get(txid)?;
            Some(MempoolTx {
                txid: *txid,
                tx: entry.tx.clone(),
                prevouts: entry.prevouts.clone(),
            })
        });
        Ok(found.collect())
    }

    async fn spenders(&self, outpoints: &[OutPoint]) -> Result<Vec<Option<Txid>>, SourceError> {
        let state = self.state();
        let mempool = &state.ledger.mempool;
        Ok(outpoints.iter().map(|outpoint| mempool.spender(outpoint)).collect())
    }

    /// By an unspent output, as a node without an index of transactions.
    async fn confirmed(&self, txid: Txid, block: Option<BlockHash>) -> Result<Option<ConfirmedTx>, SourceError> {
        let state = self.state();
        let ledger = &state.ledger;
        let coin = |vout| ledger.coin(&OutPoint { txid, vout });
        let height = match block {
            Some(hash) => ledger.entry(&hash).map(|entry| entry.height),
            None => (0..OUTPUTS_TRIED).find_map(coin).map(|coin| coin.height),
        };
        let at = height.and_then(|height| {
            Some(BlockRef {
                height,
                hash: ledger.hash_at(height)?,
            })
        });
        let Some(at) = at.filter(|at| block.is_none_or(|hash| hash == at.hash)) else {
            return Ok(None);
        };
        let stored = state.stored(at.hash)?;
        let prevouts = stored.prevouts();
        let mut txs = stored.block.txdata.iter().zip(&prevouts);
        let found = txs.find(|(tx, _)| tx.compute_txid() == txid);
        Ok(found.map(|(tx, prevouts)| ConfirmedTx {
            tx: tx.clone(),
            block: at,
            confirmations: ledger.tip().height - at.height + 1,
            fee: sdk_relay_chain::event::fee(tx, prevouts),
        }))
    }

    async fn broadcast(&self, tx: &Transaction) -> Result<Txid, BroadcastError> {
        let mut state = self.state();
        // As with a node, broadcasting a known transaction is no error.
        let txid = tx.compute_txid();
        if state.ledger.mempool.get(&txid).is_some() {
            return Ok(txid);
        }
        let accepted = state
            .ledger
            .check(tx)
            .map_err(|rejection| BroadcastError::Rejected(rejection.to_string()))?;
        state.enter(accepted).map_err(|e| BroadcastError::Source(e.into()))
    }

    async fn info(&self) -> Result<NodeInfo, SourceError> {
        let state = self.state();
        let tip = state.stored(state.ledger.tip().hash)?;
        Ok(info::info(&state.ledger, &tip.block.header, state.file.size()))
    }

    /// The next block takes whatever the chain relays.
    async fn fee_rates(&self, targets: &[u16]) -> Result<FeeRates, SourceError> {
        const MINIMUM: u64 = MIN_RELAY_FEE * 1000;
        Ok(FeeRates {
            estimates: targets.iter().map(|target| (*target, Some(MINIMUM))).collect(),
            mempool_minimum: MINIMUM,
            relay_minimum: MINIMUM,
        })
    }

    async fn block_info(&self, hash: BlockHash) -> Result<serde_json::Value, SourceError> {
        let state = self.state();
        let stored = state.stored(hash)?;
        info::block(&state.ledger, hash, &stored).ok_or(SourceError::NoSuchBlock(hash))
    }

    fn signals(&self) -> Option<Signals> {
        Some(self.state().signals.subscribe().into())
    }
}

impl From<WriteError> for SourceError {
    fn from(error: WriteError) -> Self {
        Self::Unreachable {
            at: error.path.display().to_string(),
            reason: format!("cannot be written: {}", sdk_relay_files::reason(&error.source)),
        }
    }
}
