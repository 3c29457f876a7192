//! Mempool synchronisation: emits events until the view equals the mempool of the source.

use std::collections::HashMap;

use bitcoin::{OutPoint, Transaction, Txid};
use tokio::time::Instant;

use super::batch::{BATCH, Batch};
use super::driver::{Driver, Stop};
use super::mempool_view::Diff;
use super::status::FollowState;
use crate::event::{BlockRef, ChainEvent, LeaveReason, MempoolTx};
use crate::source::{MempoolSnapshot, SourceError};

/// Without signals, wait at least this many times the duration of the last snapshot: a node with a full mempool takes
/// several hundred milliseconds for one.
const SNAPSHOT_INTERVAL_FACTOR: u32 = 10;

impl Driver {
    /// Compares chain and mempool with the source until no signal is known to be lost, and emits every difference.
    /// Returns whether there was one.
    pub(super) async fn reconcile(&mut self) -> Result<bool, Stop> {
        let started = Instant::now();
        let mut differed = false;
        while self.stale {
            self.stale = false;
            differed |= self.reconcile_once().await?;
        }
        if self.announce {
            self.emit(ChainEvent::MempoolSynced).await?;
            self.announce = false;
        }
        self.failing = false;
        self.report.state(FollowState::Following);
        let wait = match self.is_signalled() {
            true => self.options.reconcile_interval,
            false => self
                .options
                .poll_interval
                .max(started.elapsed() * SNAPSHOT_INTERVAL_FACTOR),
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
            self.emit_left(reasons).await?;
        }
        for new in diff.new.chunks(BATCH) {
            let known = new.iter().filter_map(|txid| known.remove(txid)).collect();
            let found = self.source.transactions(new, known).await?;
            self.emit_entered(found).await?;
            // A full mempool takes minutes; changes in the meantime are emitted immediately.
            let batch = self.drain(None);
            self.apply(batch).await?;
        }
        Ok(differs)
    }

    /// The mempool at a moment when the tip of the source equalled the local tip, and the transactions that earlier
    /// signals contained.
    async fn snapshot(&mut self) -> Result<(MempoolSnapshot, HashMap<Txid, Transaction>), Stop> {
        let mut known = HashMap::new();
        loop {
            self.sync_chain().await?;
            // Signals before the snapshot are covered by it. After a restart of the node, whose sequence numbers start
            // at one, old signals could not be distinguished from new ones otherwise.
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

    /// Emits the events of a batch of signals.
    pub(super) async fn apply(&mut self, batch: Batch) -> Result<(), Stop> {
        if batch.lost {
            self.stale = true;
            self.announce = true;
        }
        if batch.chain {
            // Before the mempool: transactions that return from a disconnected block enter after its
            // `BlockDisconnected`.
            self.sync_chain().await?;
        }
        let known = batch.known.into_values().collect();
        let (reasons, tip, found) = tokio::try_join!(
            self.reasons(&batch.left),
            self.tip_unless(batch.left.is_empty()),
            self.look_up(&batch.entered, known),
        )?;
        // A node signals conflicts before the block that caused them; the block names the replacing transactions.
        if tip.is_some() && tip != self.chain.tip() {
            self.sync_chain().await?;
        }
        self.emit_left(reasons).await?;
        self.emit_entered(found).await
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

    /// Reasons why transactions left the view. Transactions that are not in the view are omitted.
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
            // The node does not have this method: report the removal without a replacement.
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

    async fn emit_left(&mut self, left: Vec<(Txid, LeaveReason)>) -> Result<(), Stop> {
        for (txid, reason) in left {
            if self.view.leave(&txid) {
                self.emit(ChainEvent::TxLeft { txid, reason }).await?;
            }
        }
        Ok(())
    }

    async fn emit_entered(&mut self, found: Vec<MempoolTx>) -> Result<(), Stop> {
        // In the mempool and in a connected block: either the block was disconnected, or the look-up is older than the
        // block.
        if found.iter().any(|tx| self.view.is_mined(&tx.txid)) {
            self.sync_chain().await?;
        }
        let new = self.view.enter(found);
        if new.is_empty() {
            Ok(())
        } else {
            self.emit(ChainEvent::TxsEntered(new)).await
        }
    }
}
