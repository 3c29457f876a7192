//! The task: waits for signals and ticks, and begins anew after each failure.

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
use crate::event::{BlockRef, ChainEvent};
use crate::signals::Signals;
use crate::source::{ChainSource, Signal, SourceError};

/// Why following broke off.
#[derive(Debug)]
pub(super) enum Stop {
    /// Nobody reads the events any more.
    ConsumerGone,
    /// The source failed.
    Source(SourceError),
    /// The source has not come as far as we are.
    Syncing { blocks: u32, headers: u32 },
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

/// State of the task. `chain_sync` and `mempool_sync` hold the two halves of its work.
pub(super) struct Driver {
    pub(super) source: Arc<dyn ChainSource>,
    pub(super) options: FollowerOptions,
    pub(super) report: Reporter,
    pub(super) chain: LocalChain,
    pub(super) view: MempoolView,
    /// Everything must be compared again, at once.
    pub(super) stale: bool,
    /// When the whole mempool is to be compared next.
    pub(super) mempool_due: Instant,
    /// A `MempoolSynced` is owed to the consumer.
    pub(super) announce: bool,
    /// The last attempt failed: the source is well again only when all of it has worked.
    pub(super) failing: bool,
    events: mpsc::Sender<ChainEvent>,
    signals: Option<Signals>,
    /// Signals have come, and nothing has happened since without them. A publisher may be missing, or go away, without
    /// a word.
    heard: bool,
}

impl Driver {
    pub(super) fn new(
        source: Arc<dyn ChainSource>,
        start: Start,
        options: FollowerOptions,
        events: mpsc::Sender<ChainEvent>,
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
            signals: None,
            heard: false,
        };
        (driver, status)
    }

    /// Follows until nobody reads the events any more.
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
            // Who publishes signals may have been away as well, and not be back yet.
            self.set_heard(false);
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
        // Signals first, snapshot second: what happens in between is told by one of them at least.
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
                _ = tick.tick() => self.poll().await?,
                signal = next_signal(&mut self.signals) => match signal {
                    Some(signal) => {
                        let batch = self.drain(Some(signal));
                        self.apply(batch).await?;
                    }
                    // The next tick asks for new ones: a source whose signals end at once is not asked in a circle.
                    None => {
                        self.signals = None;
                        self.set_heard(false);
                    }
                },
            }
            if self.stale {
                self.reconcile().await?;
            }
        }
    }

    /// Asks for signals where there are none. Whatever was signalled before they came has to be found by looking.
    fn subscribe(&mut self) {
        if self.signals.is_none() {
            self.set_heard(false);
            self.signals = self.source.signals();
            self.stale |= self.signals.is_some();
        }
    }

    /// Looks without having been told to. What it finds should have been signalled; a signal that is merely late mends
    /// that at once.
    async fn poll(&mut self) -> Result<(), Stop> {
        self.subscribe();
        if self.heard && !self.source.signals_all() {
            self.set_heard(false);
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

    /// Something has changed, and no signal has told of it. While signals are not relied on nobody expects one.
    fn found_unsignalled(&mut self) {
        if self.heard {
            self.report.unsignalled(true);
        }
        self.set_heard(false);
    }

    /// Signals that wait already, and `first` before them, as one batch.
    pub(super) fn drain(&mut self, first: Option<Signal>) -> Batch {
        let mut batch = Batch::default();
        let mut next = first;
        let all = self.source.signals_all();
        loop {
            if next.is_none() && !batch.is_full() {
                next = self.signals.as_mut().and_then(|signals| signals.try_recv().ok());
            }
            let Some(signal) = next.take() else { return batch };
            self.set_heard(all);
            // `Lost` comes from this side of the connection: it says nothing of who publishes.
            if signal != Signal::Lost {
                self.report.unsignalled(false);
            }
            batch.push(signal, &self.view);
        }
    }

    /// Whether signals can be relied on; otherwise the mempool is polled.
    pub(super) fn is_signalled(&self) -> bool {
        self.heard
    }

    fn set_heard(&mut self, heard: bool) {
        if self.heard && !heard {
            self.mempool_due = Instant::now();
        }
        self.heard = heard;
        self.report.signalled(heard);
    }

    /// Tells the consumer, and waits for it when it is slow.
    pub(super) async fn tell(&self, event: ChainEvent) -> Result<(), Stop> {
        self.events.send(event).await.map_err(|_| Stop::ConsumerGone)
    }

    /// Tells a new tip to whoever watches the status.
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
