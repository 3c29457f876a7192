//! Applies the events of the chain.

use std::sync::Arc;

use bitcoin::{BlockHash, OutPoint, Transaction, TxOut, Txid};
use sdk_relay_bip352::{Hit, TxWithPrevouts};
use sdk_relay_chain::{BlockRef, BlockWithPrevouts, ChainEvent, LeaveReason, MempoolTx};
use sdk_relay_protocol::{BlockDisconnected, BlockMined, Event, Tweaks};
use sdk_relay_scheduler::{Facts, Row};
use sdk_relay_store::BlockChange;
use sdk_relay_store::format::KEPT_BLOCKS;
use sdk_relay_telemetry::clock::unix_now;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use super::commit::PendingCommit;
use super::{BlockScan, Worker};
use crate::known_payment::KnownPayment;
use crate::rows::{Place, facts_of, payment_of, rows_of, to_scripts, tweak_tx};
use crate::scan::scan;
use crate::spend::{Spends, inputs_of};

/// Largest number of outputs of final payments of the relay's own wallets that are kept until they are spent: 15 MB of
/// memory, 30 MB of the store. To fill it costs the fees of as many outputs.
const OWN_OUTPUTS: usize = 100_000;

/// Span of log lines while detection handles this event. Payments have no span, so that the log does not reveal their
/// owner.
fn span_of(event: &ChainEvent) -> Span {
    match event {
        ChainEvent::BlockConnected { at, .. } => tracing::info_span!("block", height = at.height, hash = %at.hash),
        ChainEvent::BlockDisconnected { at, .. } => {
            tracing::info_span!("disconnected_block", height = at.height, hash = %at.hash)
        }
        ChainEvent::Jumped { at } => tracing::info_span!("jump", height = at.height, hash = %at.hash),
        ChainEvent::TxsEntered(txs) => tracing::debug_span!("mempool", entered = txs.len()),
        ChainEvent::TxLeft { .. } | ChainEvent::MempoolSynced => Span::none(),
    }
}

impl Worker {
    pub(super) async fn apply(&mut self, event: ChainEvent, stop: &CancellationToken) {
        let span = span_of(&event);
        self.apply_event(event, stop).instrument(span).await;
    }

    async fn apply_event(&mut self, event: ChainEvent, stop: &CancellationToken) {
        self.watches.forget_dead();
        self.watches.release_stalled();
        let mut pending = PendingCommit::default();
        let mut change = None;
        match event {
            ChainEvent::BlockConnected { at, block } => {
                self.remember(at);
                return self.connect(at, &block, stop).await;
            }
            ChainEvent::BlockDisconnected { at, parent } => {
                change = Some(BlockChange::Disconnect {
                    height: at.height,
                    parent: parent.hash,
                });
                self.recent.remove(&at.height);
                self.remember(parent);
                self.disconnect(at, parent.hash, &mut pending);
            }
            ChainEvent::Jumped { at } => {
                change = Some(BlockChange::Jump(at.height, at.hash));
                let seen = self.tip();
                self.recent.clear();
                self.recent_spends.clear();
                self.remember(at);
                self.jumped(seen, at.height);
            }
            ChainEvent::TxsEntered(txs) => self.enter(&txs, &mut pending),
            ChainEvent::TxLeft { txid, reason } => self.leave(txid, reason, &mut pending),
            ChainEvent::MempoolSynced => {
                let (mempool, block_scans, spends) = (&self.mempool, &self.block_scans, &self.recent_spends);
                pending.outputs(self.ledger.mempool_is(|t| mempool.contains(t)));
                // A spend whose block is not reported, because that of the payment is not, is still reported as
                // unconfirmed.
                let is_waiting = |t: &Txid| {
                    mempool.contains(t) || spends.has_tx(t) || block_scans.iter().any(|b| b.txids.contains(t))
                };
                self.watches.iter_mut().for_each(|w| w.mempool_is(is_waiting));
                self.watches.settle();
                self.parts.vitals.set_mempool_known();
            }
        }
        self.commit(pending, change, stop).await;
        if let Some(BlockChange::Jump(height, _)) = change {
            self.parts.vitals.set_tip(height);
        }
    }

    pub(super) fn remember(&mut self, at: BlockRef) {
        self.recent.insert(at.height, at.hash);
        if let Some(last) = at.height.checked_sub(KEPT_BLOCKS) {
            self.recent = self.recent.split_off(&(last + 1));
        }
    }

    pub(super) async fn connect(&mut self, at: BlockRef, block: &BlockWithPrevouts, stop: &CancellationToken) {
        let mut pending = PendingCommit::default();
        let header = &block.block.header;
        let place = Place::Block(at, u64::from(header.time));
        pending.events.push(Event::BlockMined(BlockMined {
            block_height: at.height,
            block_hash: at.hash.to_string(),
            transactions: block.block.txdata.len() as u64,
            size: block.size as u64,
            timestamp: u64::from(header.time),
            difficulty: header.difficulty_float(),
            merkle_root: header.merkle_root.to_string(),
        }));
        let txs: Vec<TxWithPrevouts<'_>> = block
            .block
            .txdata
            .iter()
            .zip(block.prevouts.iter().map(Vec::as_slice))
            .collect();
        let facts: Vec<Facts> = txs
            .iter()
            .map(|(tx, prevouts)| facts_of(tx.compute_txid(), tx, prevouts))
            .collect();
        // All of them first: none spends an output unconfirmed any more.
        for facts in &facts {
            self.mempool.remove(&facts.txid);
            self.detection.is_back(&facts.txid);
        }
        let mut spends = Spends::of_block(at, u64::from(header.time));
        for (facts, (tx, prevouts)) in facts.iter().zip(&txs) {
            spends.add(*facts, &self.inputs_of(tx, prevouts));
            self.find_for_wallet(*facts, tx, place, &mut pending);
        }
        let rows: Vec<Arc<Row>> = rows_of(&self.parts.scanner, &facts, &txs)
            .into_iter()
            .flatten()
            .collect();
        self.parts
            .metrics
            .transactions_scanned
            .inc_by(block.block.txdata.len() as u64);
        self.parts.metrics.blocks_connected.inc();
        let hits = scan(&self.parts.scanner, self.parts.own.as_slice(), &rows);
        self.notify_own(hits, &rows, place, &mut pending);
        // After all payments of the block: one may be spent in the same block.
        pending.outputs(self.ledger.spent_in(&spends));
        let deep = at.height.checked_sub(KEPT_BLOCKS);
        // Before the depths: payments of a log that was migrated are final, and their depths are no news.
        if let Some(deep) = deep {
            pending.changed.extend(self.ledger.finalize(deep));
            let forgotten = self.ledger.bound(OWN_OUTPUTS);
            if !forgotten.is_empty() {
                tracing::warn!(
                    forgotten = forgotten.len(),
                    "the wallets of the relay have too many unspent outputs: spends of the smallest are not reported any more"
                );
                pending.changed.extend(forgotten);
            }
        }
        pending.outputs(self.ledger.deepened(at.height, &self.parts.confirm_at));
        let tweaks = Tweaks {
            block_height: at.height,
            block_hash: at.hash.to_string(),
            transactions: rows.iter().map(|r| tweak_tx(r)).collect(),
            part: 1,
            parts: 1,
            historical: false,
        };
        // All parts are in one commit, so that the log contains a block completely or not at all.
        let parts = tweaks.into_parts().into_iter();
        pending.events.extend(parts.map(Event::Tweaks));
        if let Some(deep) = deep {
            self.watches.iter_mut().for_each(|w| w.finalize(deep));
        }
        for watch in self.watches.iter_mut() {
            watch.spent_in(&spends);
            watch.deepened(at.height);
        }
        if let Some(batch) = self.scan_for_watches(rows, Some((at, u64::from(header.time)))) {
            self.block_scans.push(BlockScan {
                height: at.height,
                hash: at.hash,
                txids: batch.rows.iter().map(|row| row.facts.txid).collect(),
                waiting: self.watches.clients().map(|client| client.owner).collect(),
                rows: batch,
            });
        }
        let oldest_scan = self.block_scans.iter().map(|block| block.height).min();
        self.recent_spends.connect(at.height, at.hash, spends, oldest_scan);
        self.commit(pending, Some(BlockChange::Connect(at.height, at.hash)), stop)
            .await;
        self.parts.vitals.set_tip(at.height);
    }

    pub(super) fn disconnect(&mut self, at: BlockRef, parent: BlockHash, pending: &mut PendingCommit) {
        self.parts.metrics.blocks_disconnected.inc();
        let hash = at.hash.to_string();
        let spends = self.recent_spends.disconnect(at.hash);
        let is_of_block = |txid: &Txid| spends.as_ref().is_some_and(|spends| spends.has_tx(txid));
        // The mempool is read again after the new chain is connected.
        self.watches.unsettle();
        // Payments are reverted before their block, in the reverse order of their detection.
        pending.outputs(self.ledger.disconnected(at.hash, is_of_block));
        let tip = at.height.saturating_sub(1);
        self.watches
            .iter_mut()
            .for_each(|w| w.disconnected(at, tip, is_of_block));
        // The rest of its scan is not needed.
        for block in self.block_scans.extract_if(.., |block| block.hash == at.hash) {
            block.rows.cancel();
            let watches = self.watches.iter_mut();
            watches.for_each(|w| w.left_with_block(|txid| block.txids.contains(txid)));
        }
        self.own_unchecked.end_below(at.height);
        self.look_up_own();
        self.look_up_for_watches();
        pending.events.push(Event::BlockDisconnected(BlockDisconnected {
            block_height: at.height,
            block_hash: hash,
            previous_block_hash: parent.to_string(),
            timestamp: unix_now(),
        }));
        self.parts.vitals.set_tip(at.height.saturating_sub(1));
    }

    pub(super) fn enter(&mut self, txs: &[Arc<MempoolTx>], pending: &mut PendingCommit) {
        let now = unix_now();
        let place = Place::Mempool(now);
        let given: Vec<TxWithPrevouts<'_>> = txs.iter().map(|t| (&t.tx, t.prevouts.as_slice())).collect();
        let facts: Vec<Facts> = txs.iter().map(|t| facts_of(t.txid, &t.tx, &t.prevouts)).collect();
        let mut rows = Vec::new();
        let mut spends = Spends::of_mempool(now);
        for (row, (facts, (tx, prevouts))) in rows_of(&self.parts.scanner, &facts, &given)
            .into_iter()
            .zip(facts.iter().zip(&given))
        {
            self.find_for_wallet(*facts, tx, place, pending);
            let inputs = self.inputs_of(tx, prevouts);
            self.detection.is_back(&facts.txid);
            self.mempool.insert(*facts, row.clone(), &inputs, now);
            spends.add(*facts, &inputs);
            rows.extend(row);
        }
        self.parts.metrics.transactions_scanned.inc_by(txs.len() as u64);
        if !rows.is_empty() {
            let hits = scan(&self.parts.scanner, self.parts.own.as_slice(), &rows);
            self.notify_own(hits, &rows, place, pending);
        }
        // After the payments: a transaction may spend an output of another that entered with it.
        pending.outputs(self.ledger.spent_in(&spends));
        self.watches.iter_mut().for_each(|w| w.spent_in(&spends));
        self.scan_for_watches(rows, None);
    }

    pub(super) fn leave(&mut self, txid: Txid, reason: LeaveReason, pending: &mut PendingCommit) {
        self.mempool.remove(&txid);
        let by = match reason {
            LeaveReason::Replaced { by } => Some(by),
            LeaveReason::Removed => None,
        };
        if let Some(by) = by {
            self.detection.set_replaced(txid, by);
        }
        pending.outputs(self.ledger.left(txid, by));
        self.watches.iter_mut().for_each(|w| w.left(txid, by));
    }

    pub(super) fn find_for_wallet(
        &mut self,
        facts: Facts,
        tx: &Transaction,
        place: Place,
        pending: &mut PendingCommit,
    ) {
        if self.wallet_scripts.is_empty() {
            return;
        }
        let payments = to_scripts(facts, tx, place, &self.wallet_scripts, self.parts.network);
        for (outpoint, payment) in payments {
            self.seen(outpoint, payment, pending);
        }
    }

    /// An output that pays the relay's own wallets. What spends it may have been in the mempool before: a block that is
    /// disconnected returns transactions whose children have stayed there.
    fn seen(&mut self, outpoint: OutPoint, payment: KnownPayment, pending: &mut PendingCommit) {
        let Some(change) = self.ledger.seen(outpoint, payment) else {
            return;
        };
        pending.outputs([change]);
        if let Some(spend) = self.mempool.spend_of(&outpoint) {
            pending.outputs(self.ledger.spent(outpoint, spend));
        }
    }

    /// The inputs of a transaction that can spend a payment.
    fn inputs_of(&self, tx: &Transaction, prevouts: &[TxOut]) -> Vec<(OutPoint, u32)> {
        inputs_of(tx, prevouts, |outpoint, prevout| {
            self.wallet_scripts.contains(&prevout.script_pubkey) || self.ledger.contains(outpoint)
        })
    }

    pub(super) fn notify_own(&mut self, hits: Vec<Hit>, rows: &[Arc<Row>], place: Place, pending: &mut PendingCommit) {
        let Some(own_address) = self.own_address.clone() else {
            return;
        };
        for Hit { row, matches, .. } in hits {
            let Some(row) = rows.get(row) else { continue };
            for found in &matches {
                let (outpoint, payment) = payment_of(row, found, place, Arc::clone(&own_address), false);
                self.seen(outpoint, payment, pending);
            }
        }
    }
}
