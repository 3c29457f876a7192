//! The task that keeps the index at the node's tip.
//!
//! It requests the tip from the node, removes blocks that are no longer in the best chain, and adds missing ones:
//! blocks are fetched and computed concurrently, added in order, and committed in batches. Each block must extend the
//! previous one, so that a reorganisation in between is detected. After a kill, uncommitted blocks are fetched again.

mod batch;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::mem::Discriminant;
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_bip352::Scanner;
use sdk_relay_chain::follower::FollowStatus;
use sdk_relay_chain::{BlockRef, ChainSource, SourceError, joined};
use sdk_relay_platform::{blocking, clock};
use sdk_relay_store::TweakIndex;
use sdk_relay_store::index::{IndexError, Rebuild};
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use self::batch::{Batch, Computed};
use crate::oracle::Oracle;
use crate::pool::Pool;
use crate::repair::Repair;
use crate::status::{IndexFigures, IndexState, IndexStatus};
use crate::tweaks::indexed;

/// Concurrent fetches. The source allows three, of which one remains for detection.
const FETCHES: usize = 2;
/// Blocks in flight: being fetched, computed, or waiting for earlier ones. A large one takes about 20 MB with its
/// prevouts.
const BLOCKS_AHEAD: usize = 6;
/// Interval of polls of the tip of the node, if no signal announces a new one.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Retry interval while the node or the disk fails.
const RETRY: Duration = Duration::from_secs(1);

/// Builds the index.
pub struct Builder {
    index: Arc<TweakIndex>,
    source: Arc<dyn ChainSource>,
    pool: Arc<Pool>,
    oracle: Option<Arc<Oracle>>,
    scanner: Scanner,
    follow: watch::Receiver<FollowStatus>,
    status: watch::Sender<IndexStatus>,
    figures: watch::Sender<IndexFigures>,
    fetches: Arc<Semaphore>,
    repair: Repair,
    /// Signals a newly found damaged block.
    damage: Arc<Notify>,
    /// Kind of the last failure.
    failure: Option<Discriminant<Stopped>>,
}

/// Why the builder cannot continue at the moment.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The panic of a thread is handled by its supervisor; this error covers the time until then.
    #[error("a thread of the index failed")]
    Thread,
}

/// Result of a step.
enum Step {
    /// The index has reached the tip of the node.
    Current,
    /// The index has reached the tip of the node, which is still synchronising.
    NodeIsSyncing,
    /// The chain may have changed: repeat the step.
    Retry,
}

/// A block in flight.
struct InFlight {
    /// Resolves when the node has delivered the block.
    fetched: oneshot::Receiver<()>,
    done: AbortOnDropHandle<Result<Option<Computed>, Stopped>>,
}

impl Builder {
    /// A builder of this index, and its progress. `follow` notifies it of a new block of the node.
    pub fn new(
        index: Arc<TweakIndex>,
        source: Arc<dyn ChainSource>,
        pool: Arc<Pool>,
        scanner: Scanner,
        follow: watch::Receiver<FollowStatus>,
    ) -> Result<(Self, watch::Receiver<IndexStatus>, watch::Receiver<IndexFigures>), IndexError> {
        let tip = index.tip()?.map(|t| BlockRef {
            height: t.height,
            hash: t.hash,
        });
        let first = index.first()?.map_or(index.start_height(), |t| t.height);
        let (status, status_receiver) = watch::channel(IndexStatus {
            state: IndexState::Starting,
            since: clock::monotonic(),
            start_height: index.start_height(),
            first,
            first_is_known: tip.is_some(),
            tip,
            target: None,
            node_is_syncing: false,
        });
        let (figures, shown) = watch::channel(IndexFigures::default());
        let damage = Arc::new(Notify::new());
        let met = Arc::clone(&damage);
        index.on_damage(move || met.notify_one());
        if let Some(rebuild) = index.rebuild() {
            log_rebuild(&rebuild);
        }
        let repair = Repair::new(
            Arc::clone(&index),
            Arc::clone(&source),
            Arc::clone(&pool),
            scanner.clone(),
        );
        let builder = Self {
            index,
            source,
            pool,
            oracle: None,
            scanner,
            follow,
            status,
            figures,
            fetches: Arc::new(Semaphore::new(FETCHES)),
            repair,
            damage,
            failure: None,
        };
        Ok((builder, status_receiver, shown))
    }

    /// Compares the tweaks with those of this Oracle.
    pub fn with_oracle(self, oracle: Option<Arc<Oracle>>) -> Self {
        Self { oracle, ..self }
    }

    /// Keeps the index at the tip of the node. Never returns.
    pub async fn run(mut self) {
        loop {
            self.follow.mark_unchanged();
            // Before the step: only a readable block can be removed.
            let repairs_wait = self.repair.run().await;
            match self.step().await {
                Ok(Step::Retry) => {}
                Ok(Step::Current) if repairs_wait => self.state(IndexState::Current),
                Ok(Step::Current) => {
                    self.state(IndexState::Current);
                    tokio::select! {
                        // A follower that has ended sends no notifications.
                        Ok(()) = self.follow.changed() => {}
                        () = self.damage.notified() => {}
                        () = tokio::time::sleep(POLL_INTERVAL) => {}
                    }
                }
                Ok(Step::NodeIsSyncing) => {
                    self.state(IndexState::Building);
                    tokio::select! {
                        () = self.damage.notified() => {}
                        () = tokio::time::sleep(RETRY) => {}
                    }
                }
                Err(Stopped::Index(damage)) if damage.is_damage() => self.reset_damaged(damage).await,
                Err(stopped) => {
                    self.fail(&stopped);
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Replaces a database that was found damaged while in use by an empty one.
    async fn reset_damaged(&mut self, damage: IndexError) {
        let index = Arc::clone(&self.index);
        let begun = blocking(move || {
            let rebuild = index.reset_damaged(&damage)?;
            log_rebuild(&rebuild);
            Ok(())
        });
        if let Err(stopped) = begun.await {
            self.fail(&stopped);
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn step(&self) -> Result<Step, Stopped> {
        let status = self.source.status().await?;
        let node_is_syncing = status.is_syncing();
        let target = if node_is_syncing {
            status.headers.max(status.tip.height)
        } else {
            status.tip.height
        };
        self.status.send_modify(|s| {
            s.target = Some(target);
            s.node_is_syncing = node_is_syncing;
        });
        self.rewind(status.tip).await?;
        let kept = status.prune_height.unwrap_or(0);
        let tip = self.index.tip()?;
        let from = match tip {
            Some(tip) if tip.height + 1 < kept => {
                tracing::warn!(
                    index = tip.height,
                    first_kept = kept,
                    "the node has pruned blocks that are missing in the tweak index: rebuilding the index from the first block that the node has"
                );
                let index = Arc::clone(&self.index);
                blocking(move || index.clear()).await?;
                kept
            }
            Some(tip) => tip.height + 1,
            None => self.index.start_height().max(kept),
        };
        let is_empty = self.index.tip()?.is_none();
        self.status.send_modify(|s| {
            s.first_is_known = true;
            if is_empty {
                s.first = from;
            }
        });
        self.tip_is()?;
        if from > status.tip.height {
            return Ok(if node_is_syncing {
                Step::NodeIsSyncing
            } else {
                Step::Current
            });
        }
        // A builder that fails has continued only once it has added blocks: with a full disk, each attempt begins well.
        if !self.is_failing() {
            self.state(IndexState::Building);
        }
        self.build(from, status.tip.height).await
    }

    /// Removes the blocks that are not in the best chain.
    async fn rewind(&self, target: BlockRef) -> Result<(), Stopped> {
        let Some(tip) = self.index.tip()? else { return Ok(()) };
        if self.holds(tip.height, target).await? {
            return Ok(());
        }
        // The chains share every block below a common one: a binary search finds the highest common block at any depth.
        let Some(first) = self.index.first()? else {
            return Ok(());
        };
        let (mut common, mut differs) = (None, tip.height);
        let (mut low, mut high) = (first.height, tip.height);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.holds(middle, target).await? {
                common = Some(middle);
                low = middle + 1;
            } else {
                differs = middle;
                high = middle;
            }
        }
        tracing::info!(
            from = tip.height,
            to = common,
            differs,
            "reorg: removing blocks from the tweak index"
        );
        let index = Arc::clone(&self.index);
        blocking(move || common.map_or_else(|| index.clear(), |height| index.rewind(height))).await?;
        self.tip_is()
    }

    /// Whether the index's block at this height is in the best chain.
    async fn holds(&self, height: u32, target: BlockRef) -> Result<bool, Stopped> {
        let ours = self.index.hash_at(height)?;
        let theirs = match height {
            h if h > target.height => None,
            h if h == target.height => Some(target.hash),
            h => self.source.hash_at(h).await?,
        };
        Ok(ours.is_some() && ours == theirs)
    }

    async fn build(&self, from: u32, target: u32) -> Result<Step, Stopped> {
        let mut next = from;
        let mut ahead = VecDeque::new();
        let mut batch = Batch::after(self.index.tip()?.map(|t| t.hash));
        while next <= target || !ahead.is_empty() {
            while next <= target && ahead.len() < BLOCKS_AHEAD {
                ahead.push_back(self.fetch(next));
                next += 1;
            }
            let Some(InFlight { fetched, done }) = ahead.pop_front() else {
                break;
            };
            let began = clock::monotonic();
            #[expect(
                clippy::let_underscore_must_use,
                reason = "a fetch that failed gives its reason in `done`"
            )]
            let _ = fetched.await;
            let arrived = clock::monotonic();
            let computed = joined(done.await).ok_or(Stopped::Thread)?;
            self.figures.send_modify(|f| {
                f.waited_for_node += arrived.duration_since(began).as_secs_f64();
                f.waited_for_tweaks += arrived.elapsed().as_secs_f64();
            });
            match computed {
                Ok(Some(computed)) if batch.follows(computed.previous) => batch.push(computed),
                // The chain differs from that of the previous blocks.
                Ok(_) => {
                    self.commit(&mut batch).await?;
                    return Ok(Step::Retry);
                }
                Err(stopped) => {
                    self.commit(&mut batch).await?;
                    return Err(stopped);
                }
            }
            if batch.is_full() {
                self.commit(&mut batch).await?;
            }
        }
        self.commit(&mut batch).await?;
        Ok(Step::Retry)
    }

    /// The result is `None` if the chain no longer has this height.
    fn fetch(&self, height: u32) -> InFlight {
        let (source, pool, turns, oracle) = (
            Arc::clone(&self.source),
            Arc::clone(&self.pool),
            Arc::clone(&self.fetches),
            self.oracle.clone(),
        );
        let scanner = self.scanner.clone();
        let (here, fetched) = oneshot::channel();
        let done = tokio::spawn(async move {
            let turn = turns.acquire_owned().await.map_err(|_| Stopped::Thread)?;
            let Some(hash) = source.hash_at(height).await? else {
                return Ok(None);
            };
            let block = source.block(hash).await?;
            drop(turn);
            #[expect(clippy::let_underscore_must_use, reason = "the builder may have been dropped")]
            let _ = here.send(());
            let (previous, transactions) = (block.block.header.prev_blockhash, block.block.txdata.len());
            let at = BlockRef { height, hash };
            let computed = match oracle {
                Some(oracle) => oracle.index(at, block, &pool, scanner).await,
                None => pool.run(move || indexed(at, &block, &scanner)).await,
            };
            Ok(Some(Computed {
                previous,
                transactions,
                block: computed.ok_or(Stopped::Thread)?,
            }))
        });
        InFlight {
            fetched,
            done: AbortOnDropHandle::new(done),
        }
    }

    async fn commit(&self, batch: &mut Batch) -> Result<(), Stopped> {
        let Some((previous, blocks, transactions)) = batch.take() else {
            return Ok(());
        };
        let began = clock::monotonic();
        let (index, count) = (Arc::clone(&self.index), blocks.len() as u64);
        let eligible: usize = blocks.iter().map(|b| b.transactions.len()).sum();
        blocking(move || index.append(previous, &blocks)).await?;
        self.figures.send_modify(|f| {
            f.blocks += count;
            f.transactions += transactions as u64;
            f.eligible += eligible as u64;
            f.waited_for_disk += began.elapsed().as_secs_f64();
        });
        if self.is_failing() {
            self.state(IndexState::Building);
        }
        self.tip_is()
    }

    fn tip_is(&self) -> Result<(), Stopped> {
        let tip = self.index.tip()?.map(|t| BlockRef {
            height: t.height,
            hash: t.hash,
        });
        self.status
            .send_if_modified(|s| std::mem::replace(&mut s.tip, tip) != tip);
        Ok(())
    }

    fn is_failing(&self) -> bool {
        matches!(self.status.borrow().state, IndexState::Failing(_))
    }

    /// The builder cannot continue. Logged once for each kind of failure until it continues, not at each attempt.
    fn fail(&mut self, stopped: &Stopped) {
        let kind = std::mem::discriminant(stopped);
        let is_known = self.is_failing() && self.failure == Some(kind);
        self.failure = Some(kind);
        let error = stopped.to_string();
        if !is_known {
            if matches!(stopped, Stopped::Source(_)) {
                // The follower has logged the reason.
                tracing::debug!(error, "tweak index: waiting for the node");
            } else {
                tracing::warn!(error, "cannot continue the tweak index; retrying");
            }
        }
        self.state(IndexState::Failing(error));
    }

    fn state(&self, state: IndexState) {
        self.status.send_if_modified(|status| {
            if status.state == state {
                return false;
            }
            if state == IndexState::Current {
                self.index.rebuilt();
            }
            match (&status.state, &state) {
                (IndexState::Current, _) | (_, IndexState::Starting | IndexState::Failing(_)) => {}
                (_, IndexState::Building) => {
                    tracing::info!(
                        from = status.tip.map(|t| t.height),
                        to = status.target,
                        "building the tweak index"
                    );
                }
                (_, IndexState::Current) => {
                    tracing::info!(
                        tip = status.tip.map(|t| t.height),
                        "the tweak index has reached the tip"
                    );
                }
            }
            // Another error text is the same state.
            if std::mem::discriminant(&status.state) != std::mem::discriminant(&state) {
                status.since = clock::monotonic();
            }
            status.state = state;
            true
        });
    }
}

fn log_rebuild(rebuild: &Rebuild) {
    tracing::error!(
        set_aside = %rebuild.set_aside.display(),
        reason = rebuild.reason,
        "the database of the tweak index is damaged and was moved aside; rebuilding the index from the node"
    );
}

async fn blocking(work: impl FnOnce() -> Result<(), IndexError> + Send + 'static) -> Result<(), Stopped> {
    let done = joined(blocking::spawn(work).await);
    done.ok_or(Stopped::Thread)?.map_err(Stopped::from)
}
