//! Streams of blocks. The blocks are read in batches, on blocking threads, and only when the client has taken those
//! before.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::{Amount, BlockHash};
use futures_util::{Stream, stream};
use sdk_relay_blindbit_proto::{Encoded, RangedBlockHeightRequestFiltered};
use sdk_relay_store::TweakIndex;
use sdk_relay_store::index::{BlockRows, IndexError, Row};
use sdk_relay_transport::shutdown_requested;
use tonic::Status;

use super::caller::Caller;
use super::metrics::GrpcMetrics;
use super::refusal::height;
use crate::block::{index, looked, missing};
use crate::rate_limit::RequestPacer;
use crate::state::Handles;

/// Bytes of messages after which a batch ends: those that are in memory for a client that does not read, besides those
/// of its connection.
const BATCH_BYTES: usize = 64 << 10;
/// Most blocks of a batch: empty ones have few bytes, and a thread has other clients too.
const BATCH_BLOCKS: u32 = 64;
/// How often a batch is read that reorganisations change meanwhile.
const ATTEMPTS: usize = 5;

/// The requested blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    start: u32,
    end: u32,
    dust_limit: u64,
    cut_through: bool,
}

impl Range {
    pub(super) fn of(request: &RangedBlockHeightRequestFiltered) -> Result<Self, Status> {
        let (start, end) = (height("start", request.start)?, height("end", request.end)?);
        if start > end {
            return Err(Status::invalid_argument(format!(
                "start is {start}, above end, which is {end}: the range has no block"
            )));
        }
        Ok(Self {
            start,
            end,
            dust_limit: request.dustlimit,
            cut_through: request.cut_through,
        })
    }
}

/// What a stream works with.
pub(super) struct Walk {
    pub(super) handles: Arc<Handles>,
    pub(super) pacer: RequestPacer,
    pub(super) metrics: GrpcMetrics,
    pub(super) caller: Caller,
}

/// Reads the block at a height, with its spent outputs or without.
type ReadRows = fn(&TweakIndex, u32) -> Result<Option<BlockRows>, IndexError>;
/// Writes the message about a block, with these of its transactions.
type Write<T> = fn(&BlockRows, &[Row<'_>]) -> Encoded<T>;

/// A stream.
struct Position<T> {
    walk: Walk,
    range: Range,
    read: ReadRows,
    write: Write<T>,
    /// The next height to be read; `None` after the last one.
    next: Option<u32>,
    /// The newest block that was read.
    last: Option<(u32, BlockHash)>,
    ready: VecDeque<Encoded<T>>,
}

/// The messages about the blocks of a range, in order.
pub(super) fn blocks<T: Send + 'static>(
    walk: Walk,
    range: Range,
    read: ReadRows,
    write: Write<T>,
) -> impl Stream<Item = Result<Encoded<T>, Status>> + Send {
    let position = Position {
        walk,
        range,
        read,
        write,
        next: Some(range.start),
        last: None,
        ready: VecDeque::new(),
    };
    stream::try_unfold(position, |mut position| async move {
        let message = position.next_message().await?;
        Ok(message.map(|message| (message, position)))
    })
}

impl<T: Send + 'static> Position<T> {
    async fn next_message(&mut self) -> Result<Option<Encoded<T>>, Status> {
        if self.ready.is_empty()
            && let Some(from) = self.next
        {
            let mut ending = self.walk.caller.ending.clone();
            tokio::select! {
                biased;
                _ = shutdown_requested(&mut ending) => return Err(Status::unavailable(format!(
                    "the relay is shutting down or restarting: connect again, and go on from block {from}"
                ))),
                filled = self.fill(from) => filled?,
            }
        }
        let message = self.ready.pop_front();
        if message.is_some() {
            self.walk.metrics.streamed_blocks.inc();
        }
        Ok(message)
    }

    /// Reads the next batch, when its turn among the requests of its address has come. Its size is known only then: the
    /// blocks that it does not have are given back.
    async fn fill(&mut self, from: u32) -> Result<(), Status> {
        let (pacer, address) = (self.walk.pacer.clone(), self.walk.caller.address);
        let left = (self.range.end - from).saturating_add(1);
        let most = pacer.together().min(BATCH_BLOCKS).min(left);
        while let Err(refusal) = pacer.pace(address, most).await {
            tokio::time::sleep(Duration::from_secs(refusal.seconds)).await;
        }
        let index = index(&self.walk.handles)?.clone();
        let (store, range, read, write, last) =
            (Arc::clone(&index.store), self.range, self.read, self.write, self.last);
        let permit = Arc::clone(&self.walk.caller.permit);
        let found = looked(move || {
            let found = batch(&store, from, most, &range, read, write, last);
            drop(permit);
            found
        });
        let found = found.await;
        let count = match &found {
            Ok(Read::Blocks(batch)) => batch.last.0 - from + 1,
            _ => 0,
        };
        pacer.give_back(address, most - count);
        let batch = match found? {
            Read::Blocks(batch) => batch,
            Read::Nothing => return Err(missing(&index, from).into()),
            Read::Replaced(height) => {
                return Err(Status::aborted(format!(
                    "a reorganisation has replaced block {height}, which this stream has sent: ask again from a lower height"
                )));
            }
        };
        self.last = Some(batch.last);
        let (newest, _) = batch.last;
        self.next = (newest < self.range.end).then(|| newest.saturating_add(1));
        self.ready = batch.messages;
        Ok(())
    }
}

struct Batch<T> {
    messages: VecDeque<Encoded<T>>,
    /// Its newest block.
    last: (u32, BlockHash),
}

enum Read<T> {
    Blocks(Batch<T>),
    /// The index has no block at the height.
    Nothing,
    /// The block at this height is not the one that was sent.
    Replaced(u32),
}

/// Reads blocks from a height: consecutive ones of the chain of `last`.
fn batch<T>(
    store: &Arc<TweakIndex>,
    from: u32,
    most: u32,
    range: &Range,
    read: ReadRows,
    write: Write<T>,
    last: Option<(u32, BlockHash)>,
) -> Result<Read<T>, IndexError> {
    for _ in 0..ATTEMPTS {
        let (mut messages, mut hashes) = (VecDeque::new(), Vec::new());
        let mut bytes = 0;
        for height in (from..=range.end).take(most as usize) {
            let block = match read(store, height) {
                Ok(Some(block)) => block,
                Ok(None) => break,
                // The client gets the blocks before a damaged one first.
                Err(_) if !messages.is_empty() => break,
                Err(error) => return Err(error),
            };
            let message = write(&block, &kept(store, &block, range)?);
            bytes += message.as_ref().len();
            messages.push_back(message);
            hashes.push((height, block.hash));
            if bytes >= BATCH_BYTES {
                break;
            }
        }
        // The newest first: if it is still there, so were those below it when it was read, unless they were replaced
        // before, which shows below it.
        let mut is_one_chain = true;
        for (height, hash) in hashes.iter().rev() {
            is_one_chain &= store.hash_at(*height)? == Some(*hash);
        }
        if let Some((height, hash)) = last
            && store.hash_at(height)? != Some(hash)
        {
            return Ok(Read::Replaced(height));
        }
        match hashes.last() {
            _ if !is_one_chain => {}
            Some(last) => return Ok(Read::Blocks(Batch { messages, last: *last })),
            None => return Ok(Read::Nothing),
        }
    }
    // It changes faster than it is read: the client begins again.
    Ok(Read::Replaced(from))
}

/// The transactions that the filters leave. A transaction is left out as a whole: its outputs with k > 0 are found
/// through those before.
fn kept<'a>(store: &TweakIndex, block: &'a BlockRows, range: &Range) -> Result<Vec<Row<'a>>, IndexError> {
    let limit = Amount::from_sat(range.dust_limit);
    if range.cut_through {
        let mut spent = store.are_rows_spent(block)?.into_iter();
        let is_left = |row: &Row<'_>| {
            // Every output consumes its entry of the list, whatever the first of them gives.
            let outputs = row.places().zip(spent.by_ref().take(row.keys.len()));
            outputs.filter(|(place, spent)| !spent && place.amount >= limit).count() > 0
        };
        return Ok(block.rows().filter(is_left).collect());
    }
    let is_worth = |row: &Row<'_>| limit == Amount::ZERO || row.places().any(|place| place.amount >= limit);
    Ok(block.rows().filter(is_worth).collect())
}
