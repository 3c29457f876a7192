//! The mempool's half of the work: what was told, and what the source holds, become one.

use std::collections::HashMap;

use bitcoin::{OutPoint, Transaction, Txid};
use tokio::time::Instant;

use super::batch::{BATCH, Batch};
use super::driver::{Driver, Stop};
use super::mempool_view::Diff;
use super::status::FollowState;
use crate::event::{BlockRef, ChainEvent, LeaveReason, MempoolTx};
use crate::source::{MempoolSnapshot, SourceError};

/// Without signals the mempool is looked at no more often than leaves the node this many times as long in peace as one
/// look took: a full mempool takes it a good part of a second.
const REST_PER_LOOK: u32 = 10;

impl Driver {
    /// Compares chain and mempool with the source's until nothing more is known to be lost, and tells every difference.
    /// Whether there was one.
    pub(super) async fn reconcile(&mut self) -> Result<bool, Stop> {
        let started = Instant::now();
        let mut differed = false;
        while self.stale {
            self.stale = false;
            differed |= self.reconcile_once().await?;
        }
        if self.announce {
            self.tell(ChainEvent::MempoolSynced).await?;
            self.announce = false;
        }
        self.failing = false;
        self.report.state(FollowState::Following);
        let wait = match self.is_signalled() {
            true => self.options.reconcile_interval,
            false => self.options.poll_interval.max(started.elapsed() * REST_PER_LOOK),
        };
        self.mempool_due = Instant::now() + wait;
        Ok(differed)
    }

    async fn reconcile_once(&mut self) -> Result<bool, Stop> {
        let (snapshot, mut known) = self.snapshot().await?;
        let diff = self.view.compare(snapshot);
        let differs = diff != Diff::default();
        for missing in diff.missing.chunks(BATCH) {
            let reasons = self.reasons(missing).await?;
            self.tell_left(reasons).await?;
        }
        for new in diff.new.chunks(BATCH) {
            let known = new.iter().filter_map(|txid| known.remove(txid)).collect();
            let found = self.source.transactions(new, known).await?;
            self.tell_entered(found).await?;
            // A full mempool takes minutes; what happens meanwhile is told at once.
            let batch = self.drain(None);
            self.apply(batch).await?;
        }
        Ok(differs)
    }

    /// The mempool at a moment when the source's tip was the told tip, and the transactions that signals had brought
    /// along by then.
    async fn snapshot(&mut self) -> Result<(MempoolSnapshot, HashMap<Txid, Transaction>), Stop> {
        let mut known = HashMap::new();
        loop {
            self.sync_chain().await?;
            // What was signalled before the snapshot is in it. After a restart of the node, which counts from one
            // again, nothing else would tell old signals from new ones.
            loop {
                let batch = self.drain(None);
                self.announce |= batch.lost;
                let full = batch.is_full();
                known.extend(batch.known);
                if !full {
                    break;
                }
            }
            let snapshot = self.source.mempool().await?;
            if self.chain.tip() == Some(self.source.tip().await?) {
                return Ok((snapshot, known));
            }
        }
    }

    /// Tells what a batch of signals amounts to.
    pub(super) async fn apply(&mut self, batch: Batch) -> Result<(), Stop> {
        if batch.lost {
            self.stale = true;
            self.announce = true;
        }
        if batch.chain {
            // Before the mempool: transactions that a disconnected block gives back enter after it has gone.
            self.sync_chain().await?;
        }
        let known = batch.known.into_values().collect();
        let (reasons, tip, found) = tokio::try_join!(
            self.reasons(&batch.left),
            self.tip_unless(batch.left.is_empty()),
            self.look_up(&batch.entered, known),
        )?;
        // A node tells of conflicts before it tells of the block that caused them; the block names who replaced whom.
        if tip.is_some() && tip != self.chain.tip() {
            self.sync_chain().await?;
        }
        self.tell_left(reasons).await?;
        self.tell_entered(found).await
    }

    async fn tip_unless(&self, skip: bool) -> Result<Option<BlockRef>, SourceError> {
        if skip {
            Ok(None)
        } else {
            self.source.tip().await.map(Some)
        }
    }

    async fn look_up(&self, wanted: &[Txid], known: Vec<Transaction>) -> Result<Vec<MempoolTx>, SourceError> {
        if wanted.is_empty() {
            Ok(Vec::new())
        } else {
            self.source.transactions(wanted, known).await
        }
    }

    /// Why transactions of the view left it. Those that are not in the view are left out.
    async fn reasons(&self, left: &[Txid]) -> Result<Vec<(Txid, LeaveReason)>, SourceError> {
        let spends = left.iter().filter_map(|txid| Some((txid, self.view.spends(txid)?)));
        let spends: Vec<(Txid, OutPoint)> = spends
            .flat_map(|(txid, spends)| spends.iter().map(|outpoint| (*txid, *outpoint)))
            .collect();
        if spends.is_empty() {
            return Ok(Vec::new());
        }
        let outpoints: Vec<_> = spends.iter().map(|(_, outpoint)| *outpoint).collect();
        let spenders = match self.source.spenders(&outpoints).await {
            // A node without this method: the transaction has left all the same.
            Err(SourceError::Rpc { .. }) => Vec::new(),
            spenders => spenders?,
        };
        let by: HashMap<Txid, Txid> = (spends.iter().zip(spenders))
            .filter_map(|((txid, _), by)| Some((*txid, by?)))
            .filter(|(txid, by)| txid != by)
            .collect();
        let reason = |txid: &Txid| {
            by.get(txid)
                .map_or(LeaveReason::Removed, |by| LeaveReason::Replaced { by: *by })
        };
        Ok(left.iter().map(|txid| (*txid, reason(txid))).collect())
    }

    async fn tell_left(&mut self, left: Vec<(Txid, LeaveReason)>) -> Result<(), Stop> {
        for (txid, reason) in left {
            if self.view.leave(&txid) {
                self.tell(ChainEvent::TxLeft { txid, reason }).await?;
            }
        }
        Ok(())
    }

    async fn tell_entered(&mut self, found: Vec<MempoolTx>) -> Result<(), Stop> {
        // In the mempool, and in a told block: the block has gone, or the look-up was older than the block.
        if found.iter().any(|tx| self.view.is_mined(&tx.txid)) {
            self.sync_chain().await?;
        }
        let new = self.view.enter(found);
        if new.is_empty() {
            Ok(())
        } else {
            self.tell(ChainEvent::TxsEntered(new)).await
        }
    }
}
