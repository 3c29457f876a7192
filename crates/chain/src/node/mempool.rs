//! Mempool transactions with their prevouts, in as few round trips as possible.
//!
//! A prevout is an output of another mempool transaction, or it is in the UTXO set. Which of the two is unknown in
//! advance, so one batch requests both: a single transaction received over ZMQ costs one round trip.

use std::collections::{HashMap, HashSet};

use bitcoin::{OutPoint, Transaction, TxOut, Txid, consensus};
use serde_json::{Value, json};

use super::amount::JsonOutput;
use crate::{event::MempoolTx, rpc::RpcClient, source::SourceError};

/// Up to this many prevouts, one batch requests both the output and the parent. With more, most are in the UTXO set,
/// and it is cheaper to request only the parents of those that `gettxout` did not find.
const FEW_PREVOUTS: usize = 64;

/// See [`crate::ChainSource::transactions`].
pub(super) async fn transactions(
    rpc: &RpcClient,
    wanted: &[Txid],
    known: Vec<Transaction>,
) -> Result<Vec<MempoolTx>, SourceError> {
    let mut view = View::new(known);
    let txids = view.unknown(wanted);
    let mut prevouts = view.unresolved(wanted);
    view.request_with_parents(rpc, &txids, &prevouts).await?;

    if !txids.is_empty() {
        // The received transactions have prevouts of their own.
        prevouts = view.unresolved(wanted);
        prevouts.retain(|prevout| !view.requested_prevouts.contains(prevout));
        view.request_with_parents(rpc, &[], &prevouts).await?;
    }

    // Prevouts in neither set so far: request their parents, then the UTXO set once more, in case a block mined the
    // parent in between.
    let rest = view.unresolved(wanted);
    let parents = view.unknown(&parents(&rest));
    if !parents.is_empty() {
        view.request(rpc, &parents, &rest).await?;
    }
    Ok(view.complete(wanted))
}

/// The part of the mempool that is known during one call.
struct View {
    txs: HashMap<Txid, Transaction>,
    coins: HashMap<OutPoint, TxOut>,
    /// Transactions already requested, found or not.
    requested_txs: HashSet<Txid>,
    /// Prevouts already requested, found or not.
    requested_prevouts: HashSet<OutPoint>,
}

impl View {
    fn new(known: Vec<Transaction>) -> Self {
        let txs = known.into_iter().map(|tx| (tx.compute_txid(), tx)).collect();
        Self {
            txs,
            coins: HashMap::new(),
            requested_txs: HashSet::new(),
            requested_prevouts: HashSet::new(),
        }
    }

    /// The `txids` that are neither known nor requested yet, without duplicates.
    fn unknown(&self, txids: &[Txid]) -> Vec<Txid> {
        let mut seen = HashSet::new();
        let unknown = |txid: &&Txid| !self.txs.contains_key(*txid) && !self.requested_txs.contains(*txid);
        txids
            .iter()
            .filter(unknown)
            .filter(|txid| seen.insert(**txid))
            .copied()
            .collect()
    }

    /// The unknown prevouts of the known `wanted` transactions, without duplicates.
    fn unresolved(&self, wanted: &[Txid]) -> Vec<OutPoint> {
        let mut seen = HashSet::new();
        let inputs = wanted
            .iter()
            .filter_map(|txid| self.txs.get(txid))
            .flat_map(|tx| &tx.input);
        let outpoints = inputs.map(|input| input.previous_output);
        outpoints
            .filter(|outpoint| self.prevout(outpoint).is_none() && seen.insert(*outpoint))
            .collect()
    }

    fn prevout(&self, outpoint: &OutPoint) -> Option<&TxOut> {
        let of_parent = self
            .txs
            .get(&outpoint.txid)
            .and_then(|tx| tx.output.get(outpoint.vout as usize));
        of_parent.or_else(|| self.coins.get(outpoint))
    }

    /// Requests `txids`, and `prevouts`, with their parents if they are few, in one batch.
    async fn request_with_parents(
        &mut self,
        rpc: &RpcClient,
        txids: &[Txid],
        prevouts: &[OutPoint],
    ) -> Result<(), SourceError> {
        let mut all = txids.to_vec();
        if prevouts.len() <= FEW_PREVOUTS {
            all.extend(self.unknown(&parents(prevouts)));
        }
        self.request(rpc, &all, prevouts).await
    }

    /// Requests `txids` and `prevouts` in one batch. Transactions come before outputs: a parent that a block mines in
    /// between is then in the UTXO set.
    async fn request(&mut self, rpc: &RpcClient, txids: &[Txid], prevouts: &[OutPoint]) -> Result<(), SourceError> {
        let mut calls: Vec<(&str, Value)> = Vec::with_capacity(txids.len() + prevouts.len());
        calls.extend(txids.iter().map(|txid| ("getrawtransaction", json!([txid, 0]))));
        calls.extend(prevouts.iter().map(|o| ("gettxout", json!([o.txid, o.vout, false]))));
        if calls.is_empty() {
            return Ok(());
        }
        let outcomes = rpc.batch_raw(&calls).await?;
        let (of_txs, of_outputs) = outcomes.split_at(txids.len().min(outcomes.len()));
        for (txid, outcome) in txids.iter().zip(of_txs) {
            self.requested_txs.insert(*txid);
            // An error means that the transaction is not in the mempool (any more): it is left out.
            if let Ok(Some(raw)) = outcome {
                let hex: &str = serde_json::from_str(raw.get()).map_err(|e| malformed(txid, e))?;
                let tx: Transaction = consensus::encode::deserialize_hex(hex).map_err(|e| malformed(txid, e))?;
                self.txs.insert(*txid, tx);
            }
        }
        for (outpoint, outcome) in prevouts.iter().zip(of_outputs) {
            self.requested_prevouts.insert(*outpoint);
            if let Ok(Some(raw)) = outcome {
                let output: JsonOutput = serde_json::from_str(raw.get()).map_err(|e| malformed(outpoint, e))?;
                self.coins.insert(*outpoint, output.into());
            }
        }
        Ok(())
    }

    /// The `wanted` transactions whose prevouts are all known, without duplicates, in order.
    fn complete(mut self, wanted: &[Txid]) -> Vec<MempoolTx> {
        let mut found: Vec<(Txid, Vec<TxOut>)> = Vec::with_capacity(wanted.len());
        let mut seen = HashSet::new();
        for txid in wanted {
            let Some(tx) = self.txs.get(txid) else { continue };
            let prevouts = tx
                .input
                .iter()
                .map(|input| self.prevout(&input.previous_output).cloned())
                .collect();
            if let Some(prevouts) = prevouts
                && seen.insert(*txid)
            {
                found.push((*txid, prevouts));
            }
        }
        let owned = |(txid, prevouts)| {
            Some(MempoolTx {
                txid,
                tx: self.txs.remove(&txid)?,
                prevouts,
            })
        };
        found.into_iter().filter_map(owned).collect()
    }
}

fn parents(prevouts: &[OutPoint]) -> Vec<Txid> {
    prevouts.iter().map(|outpoint| outpoint.txid).collect()
}

fn malformed(what: impl std::fmt::Display, reason: impl ToString) -> SourceError {
    SourceError::Malformed {
        what: what.to_string(),
        reason: reason.to_string(),
    }
}
