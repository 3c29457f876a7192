//! Decides which spends have to be looked up in the index, and applies what was found.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::commit::PendingCommit;
use crate::look_up::{LookUp, LookedUp, Of};
use crate::unnamed::Named;
use crate::watch::LeftUnnamed;

/// Between two warnings that the node does not name spends.
const WARNED_EVERY: Duration = Duration::from_secs(600);

impl Worker {
    /// Looks up what spends the outputs of the relay's own wallets, up to the tip: after a start, because a look-up may
    /// have been interrupted, and after a jump.
    pub(super) fn check_own(&mut self) {
        if let Some(tip) = self.tip().filter(|_| self.parts.index.is_some()) {
            self.own_unchecked.restart(tip);
            self.look_up_own();
        }
    }

    pub(super) fn look_up_own(&mut self) {
        if let Some(chunk) = self.own_unchecked.next(&self.ledger) {
            self.spends.add(LookUp {
                of: Of::OwnWallets,
                mailbox: None,
                chunk,
                is_retry: false,
            });
        }
    }

    /// Queues the look-ups that watches need, after a change that concerns all of them.
    pub(super) fn look_up_for_watches(&mut self) {
        let tip = self.tip().unwrap_or_default();
        for watch in self.watches.iter_mut() {
            watch
                .look_up(tip)
                .into_iter()
                .for_each(|look_up| self.spends.add(look_up));
        }
    }

    /// Reports the spends of outputs that were looked up, if the index has the blocks for which they were, and is of
    /// the chain as of the last commit.
    pub(super) async fn apply_looked_up(&mut self, looked_up: LookedUp, stop: &CancellationToken) {
        let LookUp { of, chunk, .. } = &looked_up.look_up;
        let unchecked = match of {
            Of::OwnWallets => Some(&self.own_unchecked),
            Of::Watch(id) => self.watches.by_id(id).map(|watch| &watch.unchecked),
        };
        // Otherwise the watch has ended, or another look-up is queued.
        if !unchecked.is_some_and(|unchecked| unchecked.is_next(chunk)) {
            return;
        }
        if looked_up.tip.height < chunk.through() || !self.is_of_chain(looked_up.tip) {
            let is_retry = true;
            return self.spends.add(LookUp {
                is_retry,
                ..looked_up.look_up
            });
        }
        let tip = self.tip().unwrap_or_default();
        match of {
            Of::OwnWallets => {
                self.own_unchecked.advance(chunk);
                let mut pending = PendingCommit::default();
                for (outpoint, spend) in looked_up.up_to(tip) {
                    pending.outputs(self.ledger.spent(outpoint, spend.to_spend()));
                }
                self.commit(pending, None, stop).await;
                self.look_up_own();
            }
            Of::Watch(id) => {
                if let Some(watch) = self.watches.by_id(id) {
                    let unnamed = watch.looked_up(&looked_up, tip);
                    watch
                        .look_up(tip)
                        .into_iter()
                        .for_each(|look_up| self.spends.add(look_up));
                    self.count_unnamed(unnamed);
                    self.look_up_names(id);
                }
            }
        }
    }

    /// Reports the transactions of spends that were reported without them, if the index is of the chain as of the last
    /// commit. The others are looked up again later.
    pub(super) fn apply_named(&mut self, named: &Named) {
        let (is_of_chain, tip) = (self.is_of_chain(named.tip), self.tip().unwrap_or_default());
        let id = &named.look_up.watch_id;
        let Some(watch) = self.watches.by_id(id) else { return };
        if is_of_chain {
            watch.named(named, tip);
        } else {
            watch.unnamed.looked_up(false);
        }
        self.look_up_names(id);
    }

    /// Queues the look-up of the names that a watch lacks.
    pub(super) fn look_up_names(&mut self, watch_id: &str) {
        let Some(watch) = self.watches.by_id(watch_id) else {
            return;
        };
        if let Some(look_up) = watch.look_up_names() {
            self.spends.add_names(look_up);
        }
    }

    /// Counts spends that were reported without their transactions because the node has failed, and says so in the log.
    pub(super) fn count_unnamed(&mut self, LeftUnnamed { all, given_up }: LeftUnnamed) {
        if all == 0 {
            return;
        }
        let metrics = &self.parts.metrics;
        metrics.spends_unnamed.inc_by(all as u64);
        metrics.spend_names_given_up.inc_by(given_up as u64);
        let now = Instant::now();
        let is_due = |before: Instant| now.duration_since(before) >= WARNED_EVERY;
        if self.unnamed_warning.is_none_or(is_due) {
            self.unnamed_warning = Some(now);
            tracing::warn!(
                spends = all,
                given_up,
                "the node has not given blocks in time: spends of clients are reported without their transactions, which are looked up again later (except those given up)"
            );
        }
    }
}
