//! Restores damaged blocks of the index from the node.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sdk_relay_bip352::Scanner;
use sdk_relay_chain::{BlockRef, ChainSource, SourceError, joined};
use sdk_relay_platform::{blocking, clock};
use sdk_relay_store::TweakIndex;
use sdk_relay_store::index::{Damage, IndexError};

use crate::pool::Pool;
use crate::tweaks::indexed;

/// Retry interval of a block that could not be restored: the operator may have connected an unpruned node.
const RETRY_LOST: Duration = Duration::from_secs(600);
/// Blocks in one round, so that the index continues to grow while a whole file is restored.
const BLOCKS_AT_ONCE: usize = 64;

/// Restores damaged blocks.
pub(super) struct Repair {
    index: Arc<TweakIndex>,
    source: Arc<dyn ChainSource>,
    pool: Arc<Pool>,
    scanner: Scanner,
    /// Damaged blocks that were logged; since when each is lost.
    known: HashMap<u32, Option<Instant>>,
}

/// Outcome of one block.
enum Outcome {
    Restored,
    /// It cannot be restored; the reason.
    Lost(String),
    /// The node is unavailable, or the disk fails: retry later.
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

    /// Restores waiting blocks, as far as the node has them. Returns whether there are more.
    pub(super) async fn run(&mut self) -> bool {
        let damaged = self.index.damaged();
        self.known.retain(|height, _| damaged.contains_key(height));
        for (height, damage) in &damaged {
            let since = self.known.get(height).copied().flatten();
            if *damage == Damage::Lost && since.is_some_and(|since| since.elapsed() >= RETRY_LOST) {
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
                    self.check_next(height.saturating_add(1)).await;
                }
                Outcome::Lost(why) => {
                    let since = self.known.insert(height, Some(clock::monotonic()));
                    if since.flatten().is_none() {
                        tracing::error!(
                            height,
                            why,
                            "cannot restore a damaged block of the tweak index; histories omit it"
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
        let readable = blocking::spawn(move || again.recheck(height));
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
        match joined(blocking::spawn(move || index.restore(&block)).await) {
            Some(Ok(true)) => Outcome::Restored,
            Some(Ok(false)) => Outcome::Lost("the block of the node does not yield the original bytes".to_owned()),
            Some(Err(error)) => Outcome::Later(error.to_string()),
            None => Outcome::Later("the runtime is shutting down".to_owned()),
        }
    }

    /// Checks the next block: damage often affects several, and restoring early avoids waiting readers.
    async fn check_next(&self, height: u32) {
        let index = Arc::clone(&self.index);
        match joined(blocking::spawn(move || index.transactions(height)).await) {
            // Reading has quarantined it.
            Some(Ok(_) | Err(IndexError::Corrupt { .. })) | None => {}
            Some(Err(error)) => {
                tracing::debug!(height, %error, "cannot check for the next damaged block of the tweak index");
            }
        }
    }
}
