//! Syncs forced over HTTP, and their progress.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sdk_relay_protocol::SyncType;
use sdk_relay_protocol::http::{ForcedResult, ForcedState, ForcedSync, SyncOutcome};
use sdk_relay_telemetry::clock::unix_now;
use tokio::time::Instant;

use super::names::sync_id;

/// How long the result is available. Operators look within seconds.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// Most forced syncs that are kept; the oldest are removed first.
const KEPT_MOST: usize = 256;

/// Forced syncs by identifier.
#[derive(Debug, Default)]
pub struct Forced {
    runs: Mutex<VecDeque<Run>>,
}

#[derive(Debug)]
struct Run {
    began: Instant,
    sync_id: String,
    sync_types: Vec<SyncType>,
    target_relays: Vec<String>,
    results: Vec<ForcedResult>,
    started: u64,
    finished: Option<u64>,
}

impl Forced {
    /// Registers one and returns its identifier. Each target receives each type; without a target it is finished
    /// immediately.
    pub fn begin(&self, sync_types: Vec<SyncType>, target_relays: Vec<String>) -> String {
        let sync_id = sync_id();
        let now = unix_now();
        let run = Run {
            began: Instant::now(),
            sync_id: sync_id.clone(),
            finished: target_relays.is_empty().then_some(now),
            sync_types,
            target_relays,
            results: Vec::new(),
            started: now,
        };
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        expire(&mut runs);
        if runs.len() >= KEPT_MOST {
            runs.pop_front();
        }
        runs.push_back(run);
        sync_id
    }

    /// Records the result of one sync of a forced one. The last result finishes it.
    pub fn ended(&self, sync_id: &str, result: ForcedResult) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(run) = runs.iter_mut().find(|run| run.sync_id == sync_id) else {
            return;
        };
        let wanted = run.sync_types.len() * run.target_relays.len();
        if run.results.len() < wanted {
            run.results.push(result);
        }
        if run.results.len() == wanted {
            run.finished.get_or_insert_with(unix_now);
        }
    }

    /// Its progress; `None` if it is unknown or has expired.
    pub fn get(&self, sync_id: &str) -> Option<ForcedSync> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        expire(&mut runs);
        runs.iter().find(|run| run.sync_id == sync_id).map(Run::view)
    }
}

impl Run {
    fn view(&self) -> ForcedSync {
        let failed = self.results.iter().any(|r| r.status == SyncOutcome::Failed);
        ForcedSync {
            sync_id: self.sync_id.clone(),
            status: match self.finished {
                None => ForcedState::InProgress,
                Some(_) if failed => ForcedState::Failed,
                Some(_) => ForcedState::Completed,
            },
            sync_types: self.sync_types.clone(),
            target_relays: self.target_relays.clone(),
            results: self.results.clone(),
            started: self.started,
            finished: self.finished,
            timestamp: unix_now(),
        }
    }
}

fn expire(runs: &mut VecDeque<Run>) {
    while runs.front().is_some_and(|run| run.began.elapsed() >= KEPT_FOR) {
        runs.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(target: &str, status: SyncOutcome) -> ForcedResult {
        ForcedResult {
            target_relay: target.to_owned(),
            sync_type: SyncType::StateSync,
            status,
            latency: None,
            error: None,
        }
    }

    #[test]
    fn finished_when_all_targets_are() {
        let forced = Forced::default();
        let state = |id: &str| forced.get(id).unwrap().status;
        let no_relay = forced.begin(SyncType::ALL.to_vec(), Vec::new());
        assert_eq!(state(&no_relay), ForcedState::Completed);
        assert!(forced.get(&no_relay).unwrap().finished.is_some());

        let two = || forced.begin(vec![SyncType::StateSync], vec!["a".to_owned(), "b".to_owned()]);
        let (good, bad) = (two(), two());
        assert_ne!(good, bad);
        forced.ended(&good, result("a", SyncOutcome::Success));
        assert_eq!(
            (state(&good), forced.get(&good).unwrap().finished),
            (ForcedState::InProgress, None)
        );
        forced.ended(&good, result("b", SyncOutcome::Success));
        forced.ended(&bad, result("a", SyncOutcome::Failed));
        assert_eq!(
            (state(&good), state(&bad)),
            (ForcedState::Completed, ForcedState::InProgress)
        );
        forced.ended(&bad, result("b", SyncOutcome::Success));
        assert_eq!(state(&bad), ForcedState::Failed);
        forced.ended(&bad, result("b", SyncOutcome::Success));
        assert_eq!(forced.get(&bad).unwrap().results.len(), 2, "no more than requested");
        assert_eq!(forced.get("sync-0"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn bounded_in_number_and_in_time() {
        let forced = Forced::default();
        let ids: Vec<_> = (0..=KEPT_MOST).map(|_| forced.begin(Vec::new(), Vec::new())).collect();
        assert!(forced.get(&ids[0]).is_none() && forced.get(&ids[1]).is_some());
        assert_eq!(forced.runs.lock().unwrap().len(), KEPT_MOST);
        tokio::time::advance(KEPT_FOR).await;
        assert!(forced.get(&ids[KEPT_MOST]).is_none());
        assert!(forced.runs.lock().unwrap().is_empty());
    }
}
