//! Messages per second, over the last minute.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Window of the rate.
const WINDOW: Duration = Duration::from_secs(60);
/// Sampling interval.
const STEP: Duration = Duration::from_secs(1);

/// A rate from samples of a counter that only grows.
#[derive(Debug, Default)]
pub struct Rate {
    samples: Mutex<VecDeque<(Instant, u64)>>,
}

impl Rate {
    /// Samples `count` for as long as the returned future is polled.
    pub async fn sample(&self, count: impl Fn() -> u64) {
        let mut tick = tokio::time::interval(STEP);
        loop {
            tick.tick().await;
            self.push(Instant::now(), count());
        }
    }

    /// Per second, between the oldest sample of the window and the newest; 0 before there are two.
    pub fn per_second(&self) -> f64 {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some((from, low)), Some((to, high))) = (samples.front(), samples.back()) else {
            return 0.0;
        };
        let seconds = to.duration_since(*from).as_secs_f64();
        if seconds == 0.0 {
            0.0
        } else {
            ((high - low) as f64 / seconds * 100.0).round() / 100.0
        }
    }

    fn push(&self, now: Instant, count: u64) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.push_back((now, count));
        while samples.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
            samples.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn over_the_last_minute_only() {
        let rate = Rate::default();
        let start = Instant::now();
        for second in 0..=200u64 {
            rate.push(
                start + Duration::from_secs(second),
                if second < 100 { 1000 } else { 1000 + 5 * (second - 100) },
            );
        }
        assert_eq!(rate.per_second(), 5.0);
        assert_eq!(Rate::default().per_second(), 0.0);
    }
}
