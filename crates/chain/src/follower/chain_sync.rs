//! Chain synchronisation: connects and disconnects blocks until the local tip equals the tip of the source.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::driver::{Driver, Stop};
use super::local_chain::Step;
use super::status::FollowState;
use crate::event::{BlockRef, BlockWithPrevouts, ChainEvent, LeaveReason};
use crate::source::{ChainSource, SourceError, SourceStatus};

/// Blocks fetched ahead of the one that is emitted: keeps the four RPC threads of a node busy, at 10 MB per block.
const BLOCKS_AHEAD: usize = 4;

/// Consecutive rounds without progress before the follower backs off. A chain that changes between two requests
/// explains one or two; this many mean that the source contradicts itself.
const MAX_ROUNDS_WITHOUT_PROGRESS: u32 = 16;

/// Missing blocks from which the status is `CatchingUp`. One new block is the normal case.
const MIN_CATCH_UP: u32 = 2;

impl Driver {
    /// Emits block events until the local tip equals the tip of the source.
    pub(super) async fn sync_chain(&mut self) -> Result<(), Stop> {
        let mut fruitless = 0;
        while fruitless < MAX_ROUNDS_WITHOUT_PROGRESS {
            let target = self.source.tip().await?;
            self.report.contact();
            let moved = match self.chain.step(target) {
                Step::Done => {
                    if !self.failing {
                        self.report.state(FollowState::Following);
                    }
                    return Ok(());
                }
                Step::Begin => self.jump().await?,
                Step::Extend { local } => self.extend(local, target).await? || self.retreat().await?,
                Step::Retreat => self.retreat().await?,
            };
            fruitless = if moved { 0 } else { fruitless + 1 };
        }
        let reason = "its best block and its blocks by height are inconsistent".to_owned();
        Err(Stop::Source(SourceError::Malformed {
            what: "the source's chain".to_owned(),
            reason,
        }))
    }

    /// Connects blocks above `local` up to `target`. Returns `false` if none connects.
    async fn extend(&mut self, local: BlockRef, target: BlockRef) -> Result<bool, Stop> {
        let source = Arc::clone(&self.source);
        let fetch = move |height| fetch(Arc::clone(&source), height, target);
        let mut blocks = stream::iter(local.height + 1..=target.height)
            .map(fetch)
            .buffered(BLOCKS_AHEAD);
        let mut tip = local;
        while let Some(next) = blocks.next().await {
            match next {
                Ok(Some((at, block))) if block.block.header.prev_blockhash == tip.hash => {
                    if target.height - tip.height >= MIN_CATCH_UP {
                        self.report.state(FollowState::CatchingUp {
                            at: tip.height,
                            target: target.height,
                        });
                    }
                    self.connect(at, block).await?;
                    tip = at;
                }
                // The chain changed during the fetch: the caller retries.
                Ok(_) | Err(SourceError::NoSuchBlock(_)) => break,
                Err(SourceError::Pruned(_)) => {
                    drop(blocks);
                    return self.skip_pruned(tip).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(tip != local)
    }

    async fn connect(&mut self, at: BlockRef, block: BlockWithPrevouts) -> Result<(), Stop> {
        let block = Arc::new(block);
        self.emit(ChainEvent::BlockConnected {
            at,
            block: Arc::clone(&block),
        })
        .await?;
        self.chain.connect(at);
        self.report_tip(at);
        for (txid, by) in self.view.mine(at.hash, &block.block) {
            self.emit(ChainEvent::TxLeft {
                txid,
                reason: LeaveReason::Replaced { by },
            })
            .await?;
        }
        Ok(())
    }

    /// Disconnects one block unless the local tip is in the best chain of the source; returns `false` if it is.
    async fn retreat(&mut self) -> Result<bool, Stop> {
        let mut moved = false;
        while let Some(local) = self.chain.tip() {
            match self.source.hash_at(local.height).await? {
                Some(hash) if hash == local.hash => break,
                Some(_) => {}
                // A node that rebuilds its chain (-reindex, a restored backup) will reach the local tip again: this is
                // not a reorganisation.
                None => stop_while_syncing(&self.source.status().await?)?,
            }
            let parent = match self.chain.parent() {
                Some(parent) => Some(parent),
                None => self.fetch_parent(local).await?,
            };
            let Some(parent) = parent else { return self.jump().await };
            self.emit(ChainEvent::BlockDisconnected { at: local, parent }).await?;
            self.chain.disconnect(parent);
            self.view.unmine(local.hash);
            self.report_tip(parent);
            // Consumers want to know when all transactions that return from the block have been reported.
            (self.stale, self.announce) = (true, true);
            moved = true;
        }
        Ok(moved)
    }

    /// Fetches the parent of a block that is older than the kept blocks. Nodes keep the blocks of stale branches;
    /// `None` if this node does not.
    async fn fetch_parent(&self, at: BlockRef) -> Result<Option<BlockRef>, SourceError> {
        let Some(height) = at.height.checked_sub(1) else {
            return Ok(None);
        };
        match self.source.block(at.hash).await {
            Ok(block) => Ok(Some(BlockRef {
                height,
                hash: block.block.header.prev_blockhash,
            })),
            Err(SourceError::NoSuchBlock(_) | SourceError::Pruned(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Continues from the tip of the source, once its initial block download is done.
    async fn jump(&mut self) -> Result<bool, Stop> {
        let status = self.source.status().await?;
        stop_while_syncing(&status)?;
        self.jump_to(status.tip).await
    }

    /// Continues from the last pruned block. `tip` is the local tip; the block above it is pruned.
    async fn skip_pruned(&mut self, tip: BlockRef) -> Result<bool, Stop> {
        let status = self.source.status().await?;
        let kept = status.prune_height.unwrap_or_default();
        // A node that reports no prune height, or a lower one, must not cause endless requests for the same block.
        let height = kept.saturating_sub(1).max(tip.height + 1);
        let Some(hash) = self.source.hash_at(height).await? else {
            return Ok(false);
        };
        self.jump_to(BlockRef { height, hash }).await
    }

    async fn jump_to(&mut self, at: BlockRef) -> Result<bool, Stop> {
        match self.chain.tip() {
            None => tracing::info!(height = at.height, hash = %at.hash, "starting at the tip of the node"),
            Some(from) => {
                tracing::warn!(from = from.height, to = at.height, hash = %at.hash, "skipping blocks that the node has pruned; no events are sent for them");
            }
        }
        self.emit(ChainEvent::Jumped { at }).await?;
        self.chain.jump(at);
        self.report_tip(at);
        // The skipped blocks may contain transactions of the view.
        self.stale = true;
        Ok(true)
    }
}

/// The block at `height` in the best chain, whose tip was `target`. `None` if the chain has become shorter.
async fn fetch(
    source: Arc<dyn ChainSource>,
    height: u32,
    target: BlockRef,
) -> Result<Option<(BlockRef, BlockWithPrevouts)>, SourceError> {
    let hash = match height {
        height if height == target.height => Some(target.hash),
        height => source.hash_at(height).await?,
    };
    let Some(hash) = hash else { return Ok(None) };
    let block = source.block(hash).await?;
    Ok(Some((BlockRef { height, hash }, block)))
}

/// Returns an error while the node is in its initial block download: its tip is not the tip of the network.
fn stop_while_syncing(status: &SourceStatus) -> Result<(), Stop> {
    if status.is_syncing() {
        return Err(Stop::Syncing {
            blocks: status.tip.height,
            headers: status.headers,
        });
    }
    Ok(())
}
