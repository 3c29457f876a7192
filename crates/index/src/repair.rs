//! Restores damaged blocks of the index from the node.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sdk_relay_bip352::Scanner;
use sdk_relay_chain::{BlockRef, ChainSource, SourceError, joined};
use sdk_relay_store::TweakIndex;
use sdk_relay_store::index::{Damage, IndexError};

use crate::pool::Pool;
use crate::tweaks::indexed;

/// A block that could not be restored is tried again after this long: the operator may have put an unpruned node in
/// place.
const LOST_AGAIN: Duration = Duration::from_secs(600);
/// Blocks in one round, so that the index goes on growing while a whole file is restored.
const BLOCKS_AT_ONCE: usize = 64;

/// What restores.
pub(super) struct Repair {
    index: Arc<TweakIndex>,
    source: Arc<dyn ChainSource>,
    pool: Arc<Pool>,
    scanner: Scanner,
    /// Damaged blocks that the log has; since when each is lost.
    known: HashMap<u32, Option<Instant>>,
}

/// What came of one block.
enum Outcome {
    Restored,
    /// Why it cannot be.
    Lost(String),
    /// The node is away, or the disk fails: later.
    Later(String),
}

impl Repair {
    pub(super) fn new(index: Arc<TweakIndex>, source: Arc<dyn ChainSource>, pool: Arc<Pool>, scanner: Scanner) -> Self {
        Self {
            index,
            source,
            pool,
            scanner,
            known: HashMap::new(),
        }
    }

    /// Restores what waits for it, as far as the node has the blocks. Whether there is more to do at once.
    pub(super) async fn run(&mut self) -> bool {
        let damaged = self.index.damaged();
        self.known.retain(|height, _| damaged.contains_key(height));
        for (height, damage) in &damaged {
            let since = self.known.get(height).copied().flatten();
            if *damage == Damage::Lost && since.is_some_and(|since| since.elapsed() >= LOST_AGAIN) {
                self.index.set_damage(*height, Damage::Waiting);
            }
        }
        let waiting = self.index.damaged().into_iter();
        let waiting = waiting.filter_map(|(height, damage)| (damage == Damage::Waiting).then_some(height));
        for height in waiting.take(BLOCKS_AT_ONCE) {
            let is_news = !self.known.contains_key(&height);
            if is_news {
                tracing::warn!(
                    height,
                    "a block of the tweak index is damaged; fetching it again from the node"
                );
            }
            self.known.entry(height).or_insert(None);
            match self.restore(height).await {
                Outcome::Restored => {
                    tracing::info!(height, "restored a damaged block of the tweak index");
                    self.known.remove(&height);
                    self.look_at(height.saturating_add(1)).await;
                }
                Outcome::Lost(why) => {
                    let since = self.known.insert(height, Some(Instant::now()));
                    if since.flatten().is_none() {
                        tracing::error!(
                            height,
                            why,
                            "cannot restore a damaged block of the tweak index; histories leave it out"
                        );
                    }
                    self.index.set_damage(height, Damage::Lost);
                }
                Outcome::Later(why) => {
                    tracing::debug!(
                        height,
                        why,
                        "cannot restore a damaged block of the tweak index yet; retrying"
                    );
                    return false;
                }
            }
        }
        self.index.damaged().values().any(|damage| *damage == Damage::Waiting)
    }

    async fn restore(&self, height: u32) -> Outcome {
        let again = Arc::clone(&self.index);
        let readable = tokio::task::spawn_blocking(move || again.is_readable_again(height));
        if let Some(true) = joined(readable.await) {
            return Outcome::Restored;
        }
        let hash = match self.index.hash_at(height) {
            Ok(Some(hash)) => hash,
            Ok(None) => return Outcome::Restored,
            Err(error) => return Outcome::Later(error.to_string()),
        };
        let block = match self.source.block(hash).await {
            Ok(block) => block,
            Err(error @ (SourceError::Pruned(_) | SourceError::NoSuchBlock(_))) => {
                return Outcome::Lost(error.to_string());
            }
            Err(error) => return Outcome::Later(error.to_string()),
        };
        let scanner = self.scanner.clone();
        let computed = self
            .pool
            .run(move || indexed(BlockRef { height, hash }, &block, &scanner));
        let Some(block) = computed.await else {
            return Outcome::Later("a thread of the index failed".to_owned());
        };
        let index = Arc::clone(&self.index);
        match joined(tokio::task::spawn_blocking(move || index.restore(&block)).await) {
            Some(Ok(true)) => Outcome::Restored,
            Some(Ok(false)) => Outcome::Lost("the block of the node does not yield the original bytes".to_owned()),
            Some(Err(error)) => Outcome::Later(error.to_string()),
            None => Outcome::Later("the runtime ends".to_owned()),
        }
    }

    /// Damage seldom comes alone: where the next block is damaged too, it is restored before anybody needs it.
    async fn look_at(&self, height: u32) {
        let index = Arc::clone(&self.index);
        match joined(tokio::task::spawn_blocking(move || index.transactions(height)).await) {
            // Reading it has set it aside.
            Some(Ok(_) | Err(IndexError::Corrupt { .. })) | None => {}
            Some(Err(error)) => {
                tracing::debug!(height, %error, "cannot look up the next damaged block of the tweak index");
            }
        }
    }
}
