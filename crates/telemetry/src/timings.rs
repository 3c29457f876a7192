//! How long the newest events took from the node to the first client.
//!
//! These figures are public, so nothing in them may depend on what clients watch: the caller reports no delivery to a
//! connection with watches, which waits for its scans, and deliveries are not counted, only the first is timed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::registry::{Registry, Unit};
use sdk_relay_protocol::http::{EventTimings, TimingsHistogram};
use tokio::time::Instant;

use crate::clock::unix_now;
use crate::histogram::{Bounds, Histogram};

/// Commits that are kept: some hours of blocks, or the payments that fit on a page.
const KEPT: usize = 64;
/// Bounds of the histogram, from the fastest local commit to the slowest poll of a node; whole milliseconds.
const BOUNDS: Bounds = &[
    1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000,
];

/// Timings of the events of the log.
#[derive(Debug)]
pub struct Timings {
    recent: Mutex<VecDeque<Commit>>,
    /// From the signal of the node to the first client.
    delay: Histogram,
    /// The highest event that was handed to a client: each further delivery of it is a comparison, without a lock.
    delivered: AtomicU64,
}

/// Stages of the events that one change of the node caused, up to their commit.
#[derive(Clone, Debug)]
pub struct Stages {
    /// From the signal of the node until the relay has its transactions.
    pub node: Duration,
    /// Until the payments are known.
    pub detect: Duration,
    /// Until the commit.
    pub log: Duration,
}

#[derive(Debug)]
struct Commit {
    first: u64,
    last: u64,
    types: Vec<&'static str>,
    timestamp: u64,
    stages: Stages,
    committed: Instant,
    client: Option<Duration>,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            recent: Mutex::default(),
            delay: Histogram::new(BOUNDS),
            delivered: AtomicU64::new(0),
        }
    }
}

impl Timings {
    /// Registers the histogram below `sdk_relay_`.
    pub fn register(&self, registry: &mut Registry) {
        registry.sub_registry_with_prefix("sdk_relay").register_with_unit(
            "event_delay",
            "Time from the signal of the node until the first WebSocket connection has the events of the log",
            Unit::Seconds,
            self.delay.clone(),
        );
    }

    /// Records a commit of the events from `first` to `last`. To be called before they are published.
    pub fn committed(&self, first: u64, last: u64, types: Vec<&'static str>, stages: Stages) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back(Commit {
            first,
            last,
            types,
            timestamp: unix_now(),
            stages,
            committed: Instant::now(),
            client: None,
        });
    }

    /// Events from `first` to `last` were handed to a connection.
    pub fn delivered(&self, first: u64, last: u64) {
        if last <= self.delivered.load(Ordering::Relaxed) {
            return;
        }
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        // Within the lock: of two connections, one records the events.
        if last <= self.delivered.swap(last, Ordering::Relaxed) {
            return;
        }
        let newest = recent.iter_mut().rev().take_while(|commit| commit.last >= first);
        for commit in newest.filter(|commit| commit.first <= last && commit.client.is_none()) {
            let client = commit.committed.elapsed();
            commit.client = Some(client);
            self.delay.observe(commit.stages.total() + client);
        }
    }

    /// The newest commits, newest last, and the histogram.
    pub fn snapshot(&self) -> (Vec<EventTimings>, TimingsHistogram) {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = TimingsHistogram {
            bounds_ms: self.delay.bounds().iter().map(|micros| micros / 1_000).collect(),
            counts: self.delay.counts(),
        };
        (recent.iter().map(Commit::view).collect(), histogram)
    }
}

impl Stages {
    fn total(&self) -> Duration {
        self.node + self.detect + self.log
    }
}

impl Commit {
    fn view(&self) -> EventTimings {
        let Stages { node, detect, log } = self.stages;
        EventTimings {
            first_event_id: self.first,
            last_event_id: self.last,
            notification_types: self.types.iter().map(|&kind| kind.to_owned()).collect(),
            timestamp: self.timestamp,
            node_ms: ms(node),
            detect_ms: ms(detect),
            log_ms: ms(log),
            client_ms: self.client.map(ms),
            total_ms: self.client.map(|client| ms(self.stages.total() + client)),
        }
    }
}

/// Milliseconds, to the hundredth: a clock of the system is no better.
fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGES: Stages = Stages {
        node: Duration::from_millis(2),
        detect: Duration::from_millis(1),
        log: Duration::from_millis(3),
    };

    #[tokio::test(start_paused = true)]
    async fn the_first_delivery_counts_and_no_other() {
        let timings = Timings::default();
        timings.committed(5, 7, vec!["block_mined", "payment_detected"], STAGES);
        let (before, _) = timings.snapshot();
        assert_eq!((before[0].client_ms, before[0].total_ms), (None, None));
        tokio::time::advance(Duration::from_millis(4)).await;
        // The subscription of this client leaves out event 7.
        timings.delivered(5, 6);
        tokio::time::advance(Duration::from_millis(90)).await;
        timings.delivered(5, 7);
        let (events, histogram) = timings.snapshot();
        let event = &events[0];
        assert_eq!((event.first_event_id, event.last_event_id), (5, 7));
        assert_eq!((event.client_ms, event.total_ms), (Some(4.0), Some(10.0)));
        assert_eq!(histogram.counts[3], 1, "exactly 10 ms are within the bound");
        assert_eq!(histogram.counts.iter().sum::<u64>(), 1);
        assert_eq!(histogram.counts.len(), histogram.bounds_ms.len() + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delivery_reaches_only_the_events_in_it() {
        let timings = Timings::default();
        for id in 1..=3 {
            timings.committed(id, id, vec!["block_mined"], STAGES);
        }
        timings.delivered(2, 2);
        let received = |timings: &Timings| -> Vec<bool> {
            timings
                .snapshot()
                .0
                .iter()
                .map(|event| event.client_ms.is_some())
                .collect()
        };
        assert_eq!(received(&timings), [false, true, false]);
        tokio::time::advance(Duration::from_secs(19)).await;
        timings.delivered(3, 3);
        assert_eq!(received(&timings), [false, true, true]);
        assert_eq!(timings.snapshot().1.counts[BOUNDS.len()], 1, "beyond all bounds");
    }

    #[test]
    fn only_the_newest_commits_are_kept() {
        let timings = Timings::default();
        for id in 1..=KEPT as u64 + 5 {
            timings.committed(id, id, vec!["block_mined"], STAGES);
        }
        let (events, _) = timings.snapshot();
        assert_eq!((events.len(), events[0].first_event_id), (KEPT, 6));
    }
}
