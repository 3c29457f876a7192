//! Mempool transactions with what they spend, in as few round trips as their number allows.
//!
//! A prevout is an output of another mempool transaction, or it is in the UTXO set. Which of the two is not known
//! before the node is asked, so both questions go in one batch: a lone transaction that ZMQ brought along costs one
//! round trip.

use std::collections::{HashMap, HashSet};

use bitcoin::{OutPoint, Transaction, TxOut, Txid, consensus};
use serde_json::{Value, json};

use super::amount::JsonOutput;
use crate::{event::MempoolTx, rpc::RpcClient, source::SourceError};

/// Up to this many prevouts, both questions are asked at once. For more, most of which are in the UTXO set, it is
/// cheaper to ask for parents only where `gettxout` found nothing.
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
    view.ask_for(rpc, &txids, &prevouts).await?;

    if !txids.is_empty() {
        // The transactions that just came have prevouts of their own.
        prevouts = view.unresolved(wanted);
        prevouts.retain(|prevout| !view.asked.contains(prevout));
        view.ask_for(rpc, &[], &prevouts).await?;
    }

    // What is in neither set so far: parents that were not asked for; and then the UTXO set again, in case a block took
    // the parent in between.
    let rest = view.unresolved(wanted);
    let parents = view.unknown(&parents(&rest));
    if !parents.is_empty() {
        view.ask(rpc, &parents, &rest).await?;
    }
    Ok(view.complete(wanted))
}

/// What is known of the mempool during one call.
struct View {
    txs: HashMap<Txid, Transaction>,
    coins: HashMap<OutPoint, TxOut>,
    /// Transactions that were asked for, whatever the answer was.
    asked_txs: HashSet<Txid>,
    /// Prevouts that were asked for, whatever the answer was.
    asked: HashSet<OutPoint>,
}

impl View {
    fn new(known: Vec<Transaction>) -> Self {
        let txs = known.into_iter().map(|tx| (tx.compute_txid(), tx)).collect();
        Self {
            txs,
            coins: HashMap::new(),
            asked_txs: HashSet::new(),
            asked: HashSet::new(),
        }
    }

    /// Those of `txids` that are neither here nor were asked for, each once.
    fn unknown(&self, txids: &[Txid]) -> Vec<Txid> {
        let mut seen = HashSet::new();
        let unknown = |txid: &&Txid| !self.txs.contains_key(*txid) && !self.asked_txs.contains(*txid);
        txids
            .iter()
            .filter(unknown)
            .filter(|txid| seen.insert(**txid))
            .copied()
            .collect()
    }

    /// What the `wanted` transactions that are here spend and is not here, each once.
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

    /// One batch: `txids`, and `prevouts` with their parents if they are few.
    async fn ask_for(&mut self, rpc: &RpcClient, txids: &[Txid], prevouts: &[OutPoint]) -> Result<(), SourceError> {
        let mut all = txids.to_vec();
        if prevouts.len() <= FEW_PREVOUTS {
            all.extend(self.unknown(&parents(prevouts)));
        }
        self.ask(rpc, &all, prevouts).await
    }

    /// One batch. Transactions come before coins: a parent that a block takes in between is in the UTXO set by then.
    async fn ask(&mut self, rpc: &RpcClient, txids: &[Txid], prevouts: &[OutPoint]) -> Result<(), SourceError> {
        let mut calls: Vec<(&str, Value)> = Vec::with_capacity(txids.len() + prevouts.len());
        calls.extend(txids.iter().map(|txid| ("getrawtransaction", json!([txid, 0]))));
        calls.extend(prevouts.iter().map(|o| ("gettxout", json!([o.txid, o.vout, false]))));
        if calls.is_empty() {
            return Ok(());
        }
        let outcomes = rpc.batch_raw(&calls).await?;
        let (of_txs, of_coins) = outcomes.split_at(txids.len().min(outcomes.len()));
        for (txid, outcome) in txids.iter().zip(of_txs) {
            self.asked_txs.insert(*txid);
            // An error says that it is not in the mempool (any more), which is no error here.
            if let Ok(Some(raw)) = outcome {
                let hex: &str = serde_json::from_str(raw.get()).map_err(|e| malformed(txid, e))?;
                let tx: Transaction = consensus::encode::deserialize_hex(hex).map_err(|e| malformed(txid, e))?;
                self.txs.insert(*txid, tx);
            }
        }
        for (outpoint, outcome) in prevouts.iter().zip(of_coins) {
            self.asked.insert(*outpoint);
            if let Ok(Some(raw)) = outcome {
                let output: JsonOutput = serde_json::from_str(raw.get()).map_err(|e| malformed(outpoint, e))?;
                self.coins.insert(*outpoint, output.into());
            }
        }
        Ok(())
    }

    /// The `wanted` transactions that are here with all that they spend, each once, in order.
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
