//! The chain's half of the work: told tip and source's tip become one.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::driver::{Driver, Stop};
use super::local_chain::Step;
use super::status::FollowState;
use crate::event::{BlockRef, BlockWithPrevouts, ChainEvent, LeaveReason};
use crate::source::{ChainSource, SourceError, SourceStatus};

/// Blocks that are fetched ahead of the one that is told: keeps a node's four RPC threads busy, at 10 MB each.
const BLOCKS_AHEAD: usize = 4;

/// Looks at the source that may bring nothing new in a row. A chain that changes between two questions explains one or
/// two; this many mean that the source contradicts itself, and it is given a pause.
const FRUITLESS_ROUNDS: u32 = 16;

/// A gap of this many blocks is told as catching up. One new block is everyday life.
const CATCHING_UP: u32 = 2;

impl Driver {
    /// Tells blocks until the told tip is the source's.
    pub(super) async fn sync_chain(&mut self) -> Result<(), Stop> {
        let mut fruitless = 0;
        while fruitless < FRUITLESS_ROUNDS {
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

    /// Connects blocks above `local` up to `target`. `false` when not even one connects.
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
                    if target.height - tip.height >= CATCHING_UP {
                        self.report.state(FollowState::CatchingUp {
                            at: tip.height,
                            target: target.height,
                        });
                    }
                    self.connect(at, block).await?;
                    tip = at;
                }
                // The chain changed while it was fetched: the caller looks again.
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
        self.tell(ChainEvent::BlockConnected {
            at,
            block: Arc::clone(&block),
        })
        .await?;
        self.chain.connect(at);
        self.report_tip(at);
        for (txid, by) in self.view.mine(at.hash, &block.block) {
            self.tell(ChainEvent::TxLeft {
                txid,
                reason: LeaveReason::Replaced { by },
            })
            .await?;
        }
        Ok(())
    }

    /// Disconnects blocks until the told tip is in the source's best chain. `false` when it is.
    async fn retreat(&mut self) -> Result<bool, Stop> {
        let mut moved = false;
        while let Some(local) = self.chain.tip() {
            match self.source.hash_at(local.height).await? {
                Some(hash) if hash == local.hash => break,
                Some(_) => {}
                // A node that rebuilds its chain (-reindex, a restored backup) comes back to our block: that is no
                // reorganisation.
                None => stop_while_syncing(&self.source.status().await?)?,
            }
            let parent = match self.chain.parent() {
                Some(parent) => Some(parent),
                None => self.ask_parent(local).await?,
            };
            let Some(parent) = parent else { return self.jump().await };
            self.tell(ChainEvent::BlockDisconnected { at: local, parent }).await?;
            self.chain.disconnect(parent);
            self.view.unmine(local.hash);
            self.report_tip(parent);
            moved = true;
        }
        Ok(moved)
    }

    /// The parent of a block below what is remembered: nodes keep the blocks of abandoned branches. `None` where this
    /// one does not.
    async fn ask_parent(&self, at: BlockRef) -> Result<Option<BlockRef>, SourceError> {
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

    /// Goes on from the source's tip, once the source has one worth the name.
    async fn jump(&mut self) -> Result<bool, Stop> {
        let status = self.source.status().await?;
        stop_while_syncing(&status)?;
        self.jump_to(status.tip).await
    }

    /// Goes on from the last block whose data is gone. `tip` is the told tip, the block above it is pruned.
    async fn skip_pruned(&mut self, tip: BlockRef) -> Result<bool, Stop> {
        let status = self.source.status().await?;
        let kept = status.prune_height.unwrap_or_default();
        // A node that names no such height, or a lower one, must not make us ask for the same block for ever.
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
        self.tell(ChainEvent::Jumped { at }).await?;
        self.chain.jump(at);
        self.report_tip(at);
        // The blocks in between may have mined what is in the view.
        self.stale = true;
        Ok(true)
    }
}

/// The block at `height` in the best chain, whose tip was `target`. `None` when the chain has become lower.
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

/// Refuses to go on from the tip of a node in its initial block download.
fn stop_while_syncing(status: &SourceStatus) -> Result<(), Stop> {
    if status.is_syncing() {
        return Err(Stop::Syncing {
            blocks: status.tip.height,
            headers: status.headers,
        });
    }
    Ok(())
}
