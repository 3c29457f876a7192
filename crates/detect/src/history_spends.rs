//! Looks up what spends outputs: those that a history has found, and those that detection has reported before.
//!
//! The index has the block of each spend, and the transaction if that is eligible (BIP352). Any other transaction is
//! read from its block on the node: payments of a wallet are rarely spent without a taproot output, which the change of
//! a silent-payment wallet is.
//!
//! Nothing here holds up the scanner of histories, or another client: a job goes on in steps, each a search for some
//! outputs or one block of the node, with a deadline. Addresses, and the connections of one address, take turns by
//! steps; some steps run at once, one of an address; of a loopback address, from which all clients of a proxy or of Tor
//! come, one of a connection. Steps that wait for the node take nothing from the searches.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::{BlockHash, OutPoint, Txid};
use sdk_relay_chain::{BlockRef, ChainSource, SourceError, joined};
use sdk_relay_index::Index;
use sdk_relay_platform::blocking;
use sdk_relay_scheduler::Owner;
use sdk_relay_store::index::IndexError;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::commands::Detection;
use super::history_scan::{Scan, ScannedRange};
use super::look_up::{LOOKED_UP, LookedUp};
use super::scan_queue::ScanQueue;
use super::spend_job::{Job, Key, POLL_INTERVAL, Work};
use super::spend_queue::SpendQueue;
use super::turns::Turns;
use super::unnamed::Named;

/// Steps of one kind at the same time: a step waits for the node, or for the disk.
const STEPS: usize = 4;
/// Steps of loopback addresses at the same time: a step of each kind is left for the others.
const LOOPBACK_STEPS: usize = STEPS - 1;
/// Deadline for a block from the node. A busy node takes a second.
const BLOCK_WITHIN: Duration = Duration::from_secs(10);
/// Time for all blocks of a job, of which there are at most as many as outputs of a look-up. After it, the job goes on
/// without the names of the other transactions, which follow: the node is too slow for the clients that wait.
const BLOCKS_WITHIN: Duration = Duration::from_secs(120);
/// Failed reads after which a job goes on without the names of the transactions, which follow: the node is down, or too
/// slow.
const ATTEMPTS: u8 = 3;
/// Pause after a failure of the node, and while a damaged block of the index is restored.
const RETRY: Duration = Duration::from_secs(2);

/// The task that looks up spends.
#[derive(Clone)]
pub(super) struct SpendFinder {
    pub(super) index: Index,
    /// The node, which has the transactions that the index omits; `None`: they are reported without their txid.
    pub(super) chain: Option<Arc<dyn ChainSource>>,
    pub(super) detection: Detection,
    /// Where scans continue.
    pub(super) scans: Arc<ScanQueue>,
    pub(super) queue: Arc<SpendQueue>,
}

impl SpendFinder {
    /// Runs until it is dropped, or the runtime shuts down.
    pub(super) async fn run(self) {
        // Each step costs one.
        let mut turns = Turns::new(1);
        let mut running = JoinSet::new();
        // With a step that is running; those that wait for the node, and the others.
        let mut parties = Parties::default();
        let (mut reads, mut searches) = (0, 0);
        let mut is_failing = false;
        loop {
            while running.len() < 2 * STEPS {
                let tip = self.index.status.borrow().tip.map(|tip| tip.height);
                let is_ready = |job: &Job| {
                    let running = if job.reads_block() { reads } else { searches };
                    running < STEPS && job.is_ready(tip) && parties.may_begin(job.client())
                };
                let Some(job) = self.queue.take(is_ready, |ready| turns.next(ready)) else {
                    break;
                };
                turns.charge(job.client().0, 1);
                parties.0.insert(party(job.client()));
                *(if job.reads_block() { &mut reads } else { &mut searches }) += 1;
                running.spawn(self.clone().step(job));
            }
            let poll = self.queue.poll_interval();
            tokio::select! {
                ended = running.join_next(), if !running.is_empty() => {
                    let Some(Some(Stepped { key, client, is_read, left, error })) = ended.map(joined) else { return };
                    parties.0.remove(&party(client));
                    *(if is_read { &mut reads } else { &mut searches }) -= 1;
                    match left {
                        Some(job) => self.queue.put_back(job),
                        None => self.queue.ended(&key),
                    }
                    log(&mut is_failing, error);
                }
                () = self.queue.added() => {}
                () = tokio::time::sleep(poll.unwrap_or_default()), if poll.is_some() => {}
            }
        }
    }

    /// One step of a job, which ends the job if nothing remains.
    async fn step(self, mut job: Job) -> Stepped {
        let (key, client, is_read) = (job.key(), job.client(), job.reads_block());
        let stepped = |left, error| Stepped {
            key,
            client,
            is_read,
            left,
            error,
        };
        if job.next < job.outputs.len() {
            let error = self.search(&mut job).await.err();
            return stepped(Some(job), error);
        }
        if let Some(chain) = self.chain.as_deref().filter(|_| !job.unnamed.is_empty()) {
            name(&mut job, chain).await;
            return stepped(Some(job), None);
        }
        self.report(job).await;
        stepped(None, None)
    }

    /// Searches the index for what spends the next outputs.
    async fn search(&self, job: &mut Job) -> Result<(), IndexError> {
        let store = Arc::clone(&self.index.store);
        let outputs: Vec<_> = job.outputs.iter().skip(job.next).take(LOOKED_UP).copied().collect();
        let known = job.tip;
        let look_up = move || {
            let now = || {
                store.tip().map(|tip| {
                    tip.map(|tip| BlockRef {
                        height: tip.height,
                        hash: tip.hash,
                    })
                })
            };
            let Some(tip) = known.map_or_else(now, |tip| Ok(Some(tip)))? else {
                return Ok::<_, IndexError>(None);
            };
            let spenders = store.spenders(&outputs)?;
            // It can have grown, but the spends up to this tip are of its chain.
            let is_same = store.hash_at(tip.height)? == Some(tip.hash);
            Ok(is_same.then_some((tip, spenders)))
        };
        match joined(blocking::spawn(look_up).await) {
            Some(Ok(Some((tip, spenders)))) => {
                job.add(tip, spenders);
                Ok(())
            }
            // A reorganisation has changed the index meanwhile.
            Some(Ok(None)) | None => {
                job.restart();
                job.pause(POLL_INTERVAL);
                Ok(())
            }
            Some(Err(error)) => {
                job.pause(RETRY);
                match error {
                    // The block is quarantined and logged now, until it is restored or lost.
                    IndexError::Corrupt { .. } => Ok(()),
                    error => Err(error),
                }
            }
        }
    }

    /// Reports a job to detection; its scans continue.
    async fn report(&self, job: Job) {
        let Some(tip) = job.tip else { return };
        let found = match job.work {
            Work::Reported(look_up) => {
                let spends = job.spends;
                return self.detection.report_looked_up(LookedUp { look_up, tip, spends }).await;
            }
            Work::Named(look_up) => {
                let spends = job.spends;
                return self.detection.report_named(Named { look_up, tip, spends }).await;
            }
            Work::Found(found) => found,
        };
        let (scans, mut ranges): (Vec<Scan>, Vec<ScannedRange>) = found.into_iter().unzip();
        for range in &mut ranges {
            range.index_tip = Some(tip);
            for found in &mut range.found {
                let spends = found
                    .outputs()
                    .filter_map(|(_, outpoint)| Some((outpoint.vout, *job.spends.get(&outpoint)?)));
                found.spends = spends.collect();
            }
        }
        let next = self.detection.report_scanned(ranges).await;
        let mut is_stale = false;
        let mut going = Vec::new();
        for (mut scan, next) in scans.into_iter().zip(next) {
            is_stale |= !scan.resume(next);
            if scan.next <= scan.until {
                going.push(scan);
            }
        }
        if is_stale {
            // The index, or detection, has not processed a reorganisation yet.
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        going.into_iter().for_each(|scan| self.scans.add(scan));
    }
}

/// Those with a step that is running.
#[derive(Default)]
struct Parties(HashSet<(IpAddr, Option<Owner>)>);

impl Parties {
    /// Whether a step of this connection may begin.
    fn may_begin(&self, client: (Owner, IpAddr)) -> bool {
        let party = party(client);
        let is_free = !self.0.contains(&party);
        let of_loopback = || self.0.iter().filter(|(_, owner)| owner.is_some()).count();
        is_free && (party.1.is_none() || of_loopback() < LOOPBACK_STEPS)
    }
}

/// Who has one step at a time: an address, but a connection of a loopback address.
fn party((owner, address): (Owner, IpAddr)) -> (IpAddr, Option<Owner>) {
    (address, address.to_canonical().is_loopback().then_some(owner))
}

/// The end of a step.
struct Stepped {
    key: Key,
    client: (Owner, IpAddr),
    /// Whether it has read a block of the node.
    is_read: bool,
    /// The job, if it is not finished.
    left: Option<Job>,
    error: Option<IndexError>,
}

/// Logs the first of several failures.
fn log(is_failing: &mut bool, error: Option<IndexError>) {
    match error {
        Some(error) if !std::mem::replace(is_failing, true) => {
            tracing::error!(%error, "cannot read the tweak index to find spends; retrying");
        }
        Some(_) => {}
        None if std::mem::take(is_failing) => tracing::info!("spends can be found in the tweak index again"),
        None => {}
    }
}

/// Names the transactions of one block that spend outputs. A failure of the node is retried, and then reported without
/// the names, which are looked up later: a spend is never left out.
async fn name(job: &mut Job, chain: &dyn ChainSource) {
    let Some((hash, outputs)) = job.unnamed.pop_first() else {
        return;
    };
    let began = Instant::now();
    let read = timeout(BLOCK_WITHIN, read_inputs(chain, hash, &outputs)).await;
    job.reading += began.elapsed();
    if job.reading >= BLOCKS_WITHIN {
        tracing::debug!(
            left = job.unnamed.len(),
            "the node takes too long for the blocks of spends; reporting the heights of the others first"
        );
        job.leave_unnamed();
    }
    let reason = match read {
        Ok(Ok(inputs)) => {
            for (outpoint, by) in inputs {
                if let Some(spend) = job.spends.get_mut(&outpoint) {
                    spend.by = Some(by);
                }
            }
            return;
        }
        // It will not have it later either.
        Ok(Err(error @ (SourceError::Pruned(_) | SourceError::NoSuchBlock(_)))) => {
            tracing::debug!(%error, "the block of a spend cannot be read; reporting its height only");
            return;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", BLOCK_WITHIN.as_secs()),
    };
    job.failures += 1;
    tracing::debug!(reason, failures = job.failures, "cannot read the block of a spend");
    // A later look-up has an own pause for its next attempt.
    let is_last = job.is_later() || job.failures >= ATTEMPTS || job.reading >= BLOCKS_WITHIN;
    job.unnamed.insert(hash, outputs);
    if is_last {
        job.leave_unnamed();
    } else {
        job.pause(RETRY);
    }
}

/// The inputs of a block on the node that spend these outputs.
async fn read_inputs(
    chain: &dyn ChainSource,
    hash: BlockHash,
    outputs: &[OutPoint],
) -> Result<HashMap<OutPoint, (Txid, Option<u32>)>, SourceError> {
    let block = chain.block(hash).await?;
    let outputs: HashSet<&OutPoint> = outputs.iter().collect();
    let mut inputs = HashMap::new();
    for tx in &block.block.txdata {
        for (vin, input) in (0..).zip(&tx.input) {
            if outputs.contains(&input.previous_output) {
                inputs.insert(input.previous_output, (tx.compute_txid(), Some(vin)));
            }
        }
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests;
