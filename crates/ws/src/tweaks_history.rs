//! The history of the topic `tweaks`, for a client that scans for itself.
//!
//! Blocks connected after the subscription are sent live. The history consists of the blocks up to the tip as of the
//! last event that the connection had sent before the subscription. History and live blocks may be sent in either
//! order. [`sdk_relay_backfill`] documents the handling of a block of the history that is disconnected meanwhile. The
//! index may follow a reorganisation before the log does: while they are on different chains, the history waits. If the
//! client subscribes while it still catches up (`resume_from`), its history begins after that.
//!
//! A history that cannot continue waits for a change of the log or of the index.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::hex::DisplayHex;
use sdk_relay_backfill::{Backfill, Heights, Limits, Live, NextRange};
use sdk_relay_events::{Cursor, Frame, Hub};
use sdk_relay_index::{Index, IndexStatus};
use sdk_relay_platform::{blocking, clock};
use sdk_relay_protocol::{
    ErrorCode, ErrorMessage, Event, MissingBlocks, Notification, ServerMessage, TweakOutput, TweakTx, Tweaks,
};
use sdk_relay_store::TweakIndex;
use sdk_relay_store::index::{IndexError, IndexedBlock, IndexedTx};
use sdk_relay_telemetry::clock::unix_now;
use tokio::sync::watch;

/// Transactions that one step reads: some hundreds of kilobytes of text, where they are ordinary.
const STEP: usize = 1000;
/// Bytes of messages that one step holds for its client, beyond which only the block that was begun is added: half a
/// megabyte where blocks are full.
const STEP_BYTES: usize = 256 << 10;
/// A wait ends after this even if neither the log nor the index changes: the last read may have failed, or a damaged
/// block may be readable again.
const RETRY: Duration = Duration::from_secs(1);
/// Live tweaks come from the log, and do not wait for the history.
const LIMITS: Limits = Limits {
    held: 0,
    stalled: Duration::ZERO,
};

/// A history that is being sent.
#[derive(Debug)]
pub(super) struct TweaksHistory {
    index: Index,
    hub: Arc<Hub>,
    blocks: Backfill<Infallible>,
    /// The event after which blocks are sent live.
    since: u64,
    changes: Changes,
    /// The last read failed, and the failure is logged.
    reading_fails: bool,
}

/// Whether the end of a history is known.
enum Settled {
    Yes,
    /// The connection has not caught up yet.
    NotYet,
    /// No block of that time is still in the chain: there is no history.
    NoBlock,
}

/// What a history waits for.
#[derive(Debug)]
struct Changes {
    log: watch::Receiver<u64>,
    index: watch::Receiver<IndexStatus>,
    retry: Duration,
}

impl TweaksHistory {
    /// A history from the height `from` on, for a connection at this position in the log.
    pub(super) fn new(index: Index, from: u32, hub: &Arc<Hub>, cursor: Option<&Cursor>) -> Self {
        let mut blocks = Backfill::new(Heights { from, to: None }, LIMITS);
        if let Some(tip) = cursor.and_then(|c| hub.tip_at(c)) {
            blocks.settle(tip, Live::AtOnce, clock::monotonic());
        }
        Self {
            blocks,
            since: cursor.map_or(0, Cursor::after),
            changes: Changes {
                log: hub.head(),
                index: index.status.clone(),
                retry: RETRY,
            },
            index,
            hub: Arc::clone(hub),
            reading_fails: false,
        }
    }

    /// The next part, as soon as it can be read; `None` at the end. An empty part means that the connection has to
    /// catch up first. Nothing is lost if the future is dropped before it completes.
    pub(super) async fn next(&mut self, cursor: Option<&Cursor>) -> Option<Vec<Frame>> {
        loop {
            // Before the state is read: what changes afterwards ends the wait.
            self.changes.mark_seen();
            match self.settle(cursor).await {
                Settled::Yes => {}
                Settled::NoBlock => return None,
                Settled::NotYet => {
                    // The connection advances its cursor, and calls this again.
                    self.changes.wait().await;
                    return Some(Vec::new());
                }
            }
            let from = self.next_height()?;
            if let Some(missing) = self.index.missing_from(from)
                && let Some(left_out) = self.blocks.skip(missing, clock::monotonic())
            {
                return Some(vec![missing_frame(left_out)]);
            }
            let blocks = if self.index.can_read(from) {
                self.read(from).await
            } else {
                Vec::new()
            };
            // Once more: the chain may have changed during the read.
            let NextRange::Scan { to, .. } = self.next_range() else {
                return None;
            };
            let of_history = blocks.iter().take_while(|block| block.height <= to);
            if let Some((through, frames)) = first_frames(of_history)
                && self.blocks.scanned(from, through, clock::monotonic()).is_some()
            {
                return Some(frames);
            }
            self.changes.wait().await;
        }
    }

    /// Sets where the history ends, once the connection has caught up.
    async fn settle(&mut self, cursor: Option<&Cursor>) -> Settled {
        if self.blocks.next() != NextRange::Waiting {
            return Settled::Yes;
        }
        if cursor.and_then(|c| self.hub.tip_at(c)).is_none() {
            return Settled::NotYet;
        }
        let (hub, since) = (Arc::clone(&self.hub), self.since);
        match blocking::spawn(move || hub.settled_as_of(since)).await {
            Ok(Ok(Some(tip))) => {
                self.blocks.settle(tip, Live::AtOnce, clock::monotonic());
                Settled::Yes
            }
            Ok(Ok(None)) => Settled::NoBlock,
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot read the event log for a history of tweaks; retrying");
                Settled::NotYet
            }
            // The runtime is shutting down.
            Err(_) => Settled::NotYet,
        }
    }

    /// What remains of the history in the chain of the log.
    fn next_range(&mut self) -> NextRange {
        if let Some(lowest) = self.hub.left_after(self.since) {
            self.blocks.disconnected(lowest);
        }
        self.blocks.next()
    }

    fn next_height(&mut self) -> Option<u32> {
        match self.next_range() {
            NextRange::Scan { from, .. } => Some(from),
            NextRange::Waiting | NextRange::Done => None,
        }
    }

    /// The blocks from this height on; none if they cannot be read now.
    async fn read(&mut self, from: u32) -> Vec<IndexedBlock> {
        let (store, hub) = (Arc::clone(&self.index.store), Arc::clone(&self.hub));
        let read = blocking::spawn(move || blocks_of_log(&store, &hub, from));
        match read.await {
            Ok(Ok(blocks)) => {
                self.reading_fails = false;
                blocks
            }
            // The index has logged it, and restores the block.
            Ok(Err(IndexError::Corrupt { .. })) => Vec::new(),
            Ok(Err(error)) => {
                if !std::mem::replace(&mut self.reading_fails, true) {
                    tracing::error!(%error, "cannot read the tweak index for a history of tweaks; retrying");
                }
                Vec::new()
            }
            // The runtime is shutting down.
            Err(_) => Vec::new(),
        }
    }
}

impl Changes {
    fn mark_seen(&mut self) {
        self.log.borrow_and_update();
        self.index.borrow_and_update();
    }

    /// Waits for a change since [`Self::mark_seen`], for a limited time.
    async fn wait(&mut self) {
        tokio::select! {
            // A channel whose sender is dropped does not change any more.
            Ok(()) = self.log.changed() => {}
            Ok(()) = self.index.changed() => {}
            () = tokio::time::sleep(self.retry) => {}
        }
    }
}

/// [`TweaksHistory::next`], where there is a history.
pub(super) async fn next_part(history: &mut Option<TweaksHistory>, cursor: Option<&Cursor>) -> Option<Vec<Frame>> {
    history.as_mut()?.next(cursor).await
}

/// Reports blocks that the history omits.
fn missing_frame(missing: MissingBlocks) -> Frame {
    Frame::encode(&ServerMessage::Error(ErrorMessage {
        code: ErrorCode::Unavailable,
        message: format!("tweaks: {missing}: left out of the history"),
        in_reply_to: None,
        timestamp: unix_now(),
    }))
}

/// The blocks from this height on, if they are in the chain of the log; none while the index is on another chain.
fn blocks_of_log(index: &TweakIndex, hub: &Hub, from: u32) -> Result<Vec<IndexedBlock>, IndexError> {
    if !is_same_chain(index, hub)? {
        return Ok(Vec::new());
    }
    let blocks = index.blocks(from, STEP)?;
    // The index may have followed a reorganisation in between.
    Ok(if is_same_chain(index, hub)? { blocks } else { Vec::new() })
}

/// Whether index and log are on the same chain: if they have the same block at the highest height of both, they have
/// the same blocks below.
fn is_same_chain(index: &TweakIndex, hub: &Hub) -> Result<bool, IndexError> {
    let (Some(index_tip), Some(log_tip)) = (index.tip()?, hub.tip()) else {
        return Ok(true);
    };
    let height = index_tip.height.min(log_tip);
    let both = index.hash_at(height)?.zip(hub.hash_at(height));
    Ok(both.is_none_or(|(of_index, of_log)| of_index == of_log))
}

/// The messages of a block: one, or its parts.
fn frames(block: &IndexedBlock) -> Vec<Frame> {
    let tweaks = Tweaks {
        block_height: block.height,
        block_hash: block.hash.to_string(),
        transactions: block.transactions.iter().map(tweak_tx).collect(),
        part: 1,
        parts: 1,
        historical: true,
    };
    let frame = |part| {
        Frame::encode(&ServerMessage::Notification(Notification {
            event: Event::Tweaks(part),
            timestamp: unix_now(),
            event_id: None,
            watch_seq: None,
        }))
    };
    tweaks.into_parts().into_iter().map(frame).collect()
}

/// The messages of the first of these blocks, as many as have [`STEP_BYTES`] together, one block at least; and the
/// height of the last of those blocks.
fn first_frames<'b>(blocks: impl Iterator<Item = &'b IndexedBlock>) -> Option<(u32, Vec<Frame>)> {
    let (mut all, mut bytes, mut last) = (Vec::new(), 0, None);
    for block in blocks {
        let frames = frames(block);
        bytes += frames.iter().map(Frame::len).sum::<usize>();
        all.extend(frames);
        last = Some(block.height);
        if bytes >= STEP_BYTES {
            break;
        }
    }
    Some((last?, all))
}

fn tweak_tx(tx: &IndexedTx) -> TweakTx {
    let outputs = tx.outputs().map(|output| TweakOutput {
        vout: output.vout,
        public_key: output.key.to_lower_hex_string(),
        amount_sats: output.amount.to_sat(),
    });
    TweakTx {
        txid: tx.txid.to_string(),
        tweak: tx.tweak.to_lower_hex_string(),
        outputs: outputs.collect(),
        continues: false,
    }
}

#[cfg(test)]
mod tests;
