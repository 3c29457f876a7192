//! Learned host names: whether they resolve to addresses that this relay would dial. Clients receive only those.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a result is valid: names move now and then.
const TTL: Duration = Duration::from_secs(3600);
/// How long a negative result is valid.
const RETRY_AFTER: Duration = Duration::from_secs(600);
/// Names resolved per refresh, which runs each second: invented names must not flood the name server.
const AT_A_TIME: usize = 2;
/// Most names: as many as there can be relays.
const KEPT: usize = 4096;

/// Results by URL.
#[derive(Debug, Default)]
pub(super) struct Verdicts(Mutex<HashMap<String, (bool, Instant)>>);

impl Verdicts {
    /// Whether clients may receive the URL; `None` if it was not resolved yet.
    pub(super) fn get(&self, url: &str) -> Option<bool> {
        let verdicts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        verdicts.get(url).map(|(fits, _)| *fits)
    }

    /// A name was resolved.
    pub(super) fn set(&self, url: String, fits: bool) {
        let mut verdicts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if verdicts.len() >= KEPT && !verdicts.contains_key(&url) {
            let oldest = verdicts
                .iter()
                .min_by_key(|(_, (_, at))| *at)
                .map(|(url, _)| url.clone());
            oldest.and_then(|oldest| verdicts.remove(&oldest));
        }
        verdicts.insert(url, (fits, Instant::now()));
    }

    /// Of these, a few that are to be resolved now.
    pub(super) fn due(&self, urls: impl Iterator<Item = String>) -> Vec<String> {
        let verdicts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = |url: &String| {
            let verdict = verdicts.get(url);
            verdict.is_none_or(|(fits, at)| at.elapsed() >= if *fits { TTL } else { RETRY_AFTER })
        };
        urls.filter(due).take(AT_A_TIME).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn names_are_resolved_periodically_a_few_at_a_time() {
        let verdicts = Verdicts::default();
        let urls = || (0..5).map(|n| format!("ws://r{n}.example:1"));
        let due = verdicts.due(urls());
        assert_eq!(due.len(), AT_A_TIME);
        assert_eq!(verdicts.get(&due[0]), None);
        for (n, url) in urls().enumerate() {
            verdicts.set(url, n > 0);
        }
        assert!(verdicts.due(urls()).is_empty());
        assert_eq!(
            (verdicts.get("ws://r0.example:1"), verdicts.get("ws://r1.example:1")),
            (Some(false), Some(true))
        );
        tokio::time::advance(RETRY_AFTER).await;
        assert_eq!(verdicts.due(urls()), ["ws://r0.example:1"]);
        tokio::time::advance(TTL - RETRY_AFTER).await;
        assert_eq!(verdicts.due(urls()).len(), AT_A_TIME);
    }

    #[test]
    fn bounded() {
        let verdicts = Verdicts::default();
        (0..KEPT + 10).for_each(|n| verdicts.set(format!("ws://r{n}.example:1"), true));
        assert_eq!(verdicts.0.lock().unwrap().len(), KEPT);
    }
}
