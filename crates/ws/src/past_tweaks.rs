//! The history of the topic `tweaks`, for a client that scans for itself.
//!
//! The topic is live from the moment of its subscription. History is what lies in blocks up to the tip that the connection had heard of by
//! then, and not later: the next block is told live, whichever of the two the connection does first. Where one of those blocks is disconnected
//! meanwhile, what takes its place is told live, and history ends below it. The index may follow a reorganisation before the log tells it: while
//! the two are of different chains, history waits. Who subscribes while it still catches up (`resume_from`) gets the history once it has.

use std::sync::Arc;
use std::time::Duration;

use bitcoin::hex::DisplayHex;
use sdk_relay_events::{Cursor, Frame, Hub};
use sdk_relay_index::Index;
use sdk_relay_protocol::{
    ErrorCode, ErrorMessage, Event, MissingBlocks, Notification, ServerMessage, TweakOutput, TweakTx, Tweaks,
};
use sdk_relay_store::TweakIndex;
use sdk_relay_store::index::{IndexError, IndexedBlock, IndexedTx};
use sdk_relay_telemetry::clock::unix_now;

/// Transactions that one step reads: some hundreds of kilobytes of text, where they are ordinary.
const STEP: usize = 1000;
/// Bytes of messages that one step holds for its client, beyond which only the block that was begun is added: half a megabyte where blocks are full.
const STEP_BYTES: usize = 256 << 10;
/// Between two looks whether the connection has caught up, or the index has grown.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A history that is being told.
#[derive(Debug)]
pub(super) struct PastTweaks {
    index: Index,
    next: u32,
    /// The event after which all is live.
    since: u64,
    /// The last block of the history; `None` until the connection has caught up.
    until: Option<u32>,
    /// The last read failed, and that is in the log.
    reading_fails: bool,
}

impl PastTweaks {
    /// From the height `from` on, for a connection that stands there in the log.
    pub(super) fn new(index: Index, from: u32, hub: &Hub, cursor: Option<&Cursor>) -> Self {
        Self {
            index,
            next: from,
            since: cursor.map_or(0, Cursor::after),
            until: cursor.and_then(|c| hub.tip_at(c)),
            reading_fails: false,
        }
    }

    /// Settles where the history ends, once the connection has caught up. `None`: not yet; `Some(false)`: there is no history.
    async fn settle(&mut self, hub: &Arc<Hub>, cursor: Option<&Cursor>) -> Option<bool> {
        if self.until.is_some() {
            return Some(true);
        }
        cursor.and_then(|c| hub.tip_at(c))?;
        let (log, since) = (Arc::clone(hub), self.since);
        match tokio::task::spawn_blocking(move || log.settled_as_of(since)).await {
            Ok(Ok(until)) => {
                self.until = until;
                Some(until.is_some())
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot read the event log for a history of tweaks");
                None
            }
            Err(_) => None,
        }
    }
}

/// The next part, when it is there; `None` at the end. Nothing is lost when it is dropped half-way.
pub(super) async fn next_past(
    past: &mut Option<PastTweaks>,
    hub: &Arc<Hub>,
    cursor: Option<&Cursor>,
) -> Option<Vec<Frame>> {
    let past = past.as_mut()?;
    loop {
        match past.settle(hub, cursor).await {
            Some(true) => {}
            Some(false) => return None,
            None => {
                tokio::time::sleep(LOOK_AGAIN).await;
                // The cursor stands still while this is waited for: let the connection go on.
                return Some(Vec::new());
            }
        }
        let (until, since) = (past.until.unwrap_or(0), past.since);
        let last = || {
            let left = hub.left_after(since);
            left.map_or(until, |left| until.min(left.saturating_sub(1)))
        };
        if past.next > last() {
            return None;
        }
        if let Some(missing) = past.index.missing_from(past.next) {
            let missing = MissingBlocks {
                to: missing.to.min(last()),
                ..missing
            };
            past.next = missing.to.saturating_add(1);
            return Some(vec![left_out(missing)]);
        }
        let (store, next, told) = (Arc::clone(&past.index.store), past.next, Arc::clone(hub));
        let read = tokio::task::spawn_blocking(move || of_told_chain(&store, &told, next)).await;
        let blocks = match read {
            Ok(Ok(blocks)) => {
                past.reading_fails = false;
                blocks
            }
            // It is in the log, and waits to be restored.
            Ok(Err(IndexError::Corrupt { .. })) => Vec::new(),
            Ok(Err(error)) => {
                if !std::mem::replace(&mut past.reading_fails, true) {
                    tracing::error!(%error, "cannot read the tweak index for a history of tweaks; retrying");
                }
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        // Asked again: what has left the chain while this was read is not told.
        let until = last();
        let blocks: Vec<_> = blocks.into_iter().take_while(|b| b.height <= until).collect();
        match first_of(&blocks) {
            Some((last, frames)) => {
                past.next = last + 1;
                return Some(frames);
            }
            None => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

/// Names blocks of the history that the relay cannot have.
fn left_out(missing: MissingBlocks) -> Frame {
    Frame::encode(&ServerMessage::Error(ErrorMessage {
        code: ErrorCode::Unavailable,
        message: format!("tweaks: {missing}: left out of the history"),
        in_reply_to: None,
        timestamp: unix_now(),
    }))
}

/// The next blocks, if they are of the chain that the log has told; none while the index is of another one.
fn of_told_chain(index: &TweakIndex, hub: &Hub, next: u32) -> Result<Vec<IndexedBlock>, IndexError> {
    if !agree(index, hub)? {
        return Ok(Vec::new());
    }
    let blocks = index.blocks(next, STEP)?;
    // The index may have gone over to another chain in between.
    Ok(if agree(index, hub)? { blocks } else { Vec::new() })
}

/// Whether index and log are of one chain: where they have the same block at the highest height that both know, they have all below.
fn agree(index: &TweakIndex, hub: &Hub) -> Result<bool, IndexError> {
    let (Some(held), Some(told)) = (index.tip()?, hub.tip()) else {
        return Ok(true);
    };
    let height = held.height.min(told);
    let both = index.hash_at(height)?.zip(hub.hash_at(height));
    Ok(both.is_none_or(|(held, told)| held == told))
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
        }))
    };
    tweaks.into_parts().into_iter().map(frame).collect()
}

/// The messages of the first of these blocks, as many as have [`STEP_BYTES`] together, one block at least; and the last of those blocks.
fn first_of(blocks: &[IndexedBlock]) -> Option<(u32, Vec<Frame>)> {
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
