//! The task: waits for signals and ticks, and restarts with a backoff after each failure.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::backoff::Backoff;
use super::batch::Batch;
use super::local_chain::LocalChain;
use super::mempool_view::MempoolView;
use super::status::{FollowState, FollowStatus, Reporter};
use super::{FollowerOptions, Start};
use crate::event::{BlockRef, ChainEvent, Observed};
use crate::signals::Signals;
use crate::source::{ChainSource, Signal, SourceError};

/// Why the loop stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The receiver of the events was dropped.
    ConsumerGone,
    /// The source failed.
    Source(SourceError),
    /// The source has not reached the local tip yet.
    Syncing { blocks: u32, headers: u32 },
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

/// State of the task; further methods are in `chain_sync` and `mempool_sync`.
pub(super) struct Driver {
    pub(super) source: Arc<dyn ChainSource>,
    pub(super) options: FollowerOptions,
    pub(super) report: Reporter,
    pub(super) chain: LocalChain,
    pub(super) view: MempoolView,
    /// Chain and mempool must be compared with the source immediately.
    pub(super) stale: bool,
    /// When the whole mempool is to be compared next.
    pub(super) mempool_due: Instant,
    /// `MempoolSynced` must be sent after the next comparison.
    pub(super) announce: bool,
    /// The last attempt failed. The status recovers only after a complete successful round.
    pub(super) failing: bool,
    events: mpsc::Sender<Observed>,
    /// When the signal arrived, or the poll began, whose consequences are being emitted.
    noticed: Instant,
    signals: Option<Signals>,
    /// Signals arrive, and every change since the first one was signalled. A publisher may be missing, or stop, without
    /// an error.
    signalled: bool,
}

impl Driver {
    pub(super) fn new(
        source: Arc<dyn ChainSource>,
        start: Start,
        options: FollowerOptions,
        events: mpsc::Sender<Observed>,
    ) -> (Self, watch::Receiver<FollowStatus>) {
        let chain = LocalChain::new(start.recent);
        let (report, status) = Reporter::new(chain.tip());
        let driver = Self {
            source,
            options,
            report,
            chain,
            view: MempoolView::default(),
            stale: true,
            mempool_due: Instant::now(),
            announce: true,
            failing: false,
            events,
            noticed: Instant::now(),
            signals: None,
            signalled: false,
        };
        (driver, status)
    }

    /// Runs until the receiver of the events is dropped.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new();
        loop {
            let Err(stop) = self.follow(&mut backoff).await;
            let pause = match stop {
                Stop::ConsumerGone => return,
                Stop::Source(error) => {
                    self.report.state(FollowState::Unreachable { error });
                    backoff.pause()
                }
                Stop::Syncing { blocks, headers } => {
                    self.report.state(FollowState::WaitingForNode { blocks, headers });
                    self.options.poll_interval
                }
            };
            // The publisher of the signals may have been down as well, and may not be back yet.
            self.set_signalled(false);
            self.failing = true;
            self.stale = true;
            self.announce = true;
            tokio::select! {
                () = self.events.closed() => return,
                () = sleep(pause) => {}
            }
        }
    }

    async fn follow(&mut self, backoff: &mut Backoff) -> Result<Infallible, Stop> {
        self.noticed = Instant::now();
        // Signals first, snapshot second: a change in between is in at least one of them.
        self.subscribe();
        self.reconcile().await?;
        backoff.reset();
        let mut tick = interval(self.options.poll_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.reset();
        loop {
            // The tick comes before the signals, so that a storm of them cannot keep the tip from being polled.
            tokio::select! {
                biased;
                () = self.events.closed() => return Err(Stop::ConsumerGone),
                _ = tick.tick() => {
                    self.noticed = Instant::now();
                    self.poll().await?;
                }
                signal = next_signal(&mut self.signals) => match signal {
                    Some(signal) => {
                        self.noticed = Instant::now();
                        let batch = self.drain(Some(signal));
                        self.apply(batch).await?;
                    }
                    // The next tick asks for new ones: a source whose signals end immediately must not cause a busy
                    // loop.
                    None => {
                        self.signals = None;
                        self.set_signalled(false);
                    }
                },
            }
            if self.stale {
                self.reconcile().await?;
            }
        }
    }

    /// Subscribes to signals if not subscribed. Changes before the subscription are found by a comparison.
    fn subscribe(&mut self) {
        if self.signals.is_none() {
            self.set_signalled(false);
            self.signals = self.source.signals();
            self.stale |= self.signals.is_some();
        }
    }

    /// Polls the source. A change found here should have been signalled; a late signal corrects the state immediately.
    async fn poll(&mut self) -> Result<(), Stop> {
        self.subscribe();
        if self.signalled && !self.source.signals_all() {
            self.set_signalled(false);
        }
        if self.mempool_due <= Instant::now() {
            self.stale = true;
            if self.reconcile().await? {
                self.found_unsignalled();
            }
            return Ok(());
        }
        let before = self.chain.tip();
        self.sync_chain().await?;
        if self.chain.tip() != before {
            self.found_unsignalled();
        }
        Ok(())
    }

    /// A change was found without a signal. Ignored while the signals are not relied on.
    fn found_unsignalled(&mut self) {
        if self.signalled {
            self.report.unsignalled(true);
        }
        self.set_signalled(false);
    }

    /// `first` and all queued signals, as one batch.
    pub(super) fn drain(&mut self, first: Option<Signal>) -> Batch {
        let mut batch = Batch::default();
        let mut next = first;
        let all = self.source.signals_all();
        loop {
            if next.is_none() && !batch.is_full() {
                next = self.signals.as_mut().and_then(|signals| signals.try_recv().ok());
            }
            let Some(signal) = next.take() else { return batch };
            self.set_signalled(all);
            // `Lost` is made on this side of the connection: it is no evidence of a publisher.
            if signal != Signal::Lost {
                self.report.unsignalled(false);
            }
            batch.push(signal, &self.view);
        }
    }

    /// Whether signals can be relied on; otherwise the mempool is polled.
    pub(super) fn is_signalled(&self) -> bool {
        self.signalled
    }

    fn set_signalled(&mut self, signalled: bool) {
        if self.signalled && !signalled {
            self.mempool_due = Instant::now();
        }
        self.signalled = signalled;
        self.report.signalled(signalled);
    }

    /// Sends an event to the consumer; waits while the queue is full.
    pub(super) async fn emit(&self, event: ChainEvent) -> Result<(), Stop> {
        let observed = Observed {
            event,
            noticed: self.noticed,
            available: Instant::now(),
        };
        self.events.send(observed).await.map_err(|_| Stop::ConsumerGone)
    }

    /// Publishes a new tip in the status.
    pub(super) fn report_tip(&self, tip: BlockRef) {
        self.report.tip(tip);
    }
}

async fn next_signal(signals: &mut Option<Signals>) -> Option<Signal> {
    match signals {
        Some(signals) => signals.recv().await,
        None => std::future::pending().await,
    }
}
