//! Phi accrual failure detector of a link (Hayashibara et al. 2004): how unlikely the present silence is, given the
//! link's past arrivals.

use std::collections::VecDeque;
use std::time::Duration;

/// Number of inter-arrival times that are kept: some ten intervals.
const SAMPLES: usize = 32;

/// From this value on, a silence counts as late: its probability is 10^-8.
pub(crate) const LATE: f64 = 8.0;

pub(crate) struct Arrivals {
    gaps: VecDeque<f32>,
    last_sample: Duration,
    last: Duration,
}

impl Arrivals {
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            gaps: VecDeque::new(),
            last_sample: now,
            last: now,
        }
    }

    /// A message arrived. A burst is one arrival: gaps below an eighth of the interval are not sampled.
    pub(crate) fn record(&mut self, now: Duration, interval: Duration) {
        self.last = now;
        let gap = now.saturating_sub(self.last_sample);
        if gap >= interval / 8 {
            if self.gaps.len() == SAMPLES {
                self.gaps.pop_front();
            }
            self.gaps.push_back(gap.as_secs_f32());
            self.last_sample = now;
        }
    }

    pub(crate) fn silence(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last)
    }

    /// Phi of the present silence. The prior is one arrival per interval with a standard deviation of a quarter.
    pub(crate) fn phi(&self, now: Duration, interval: Duration) -> f64 {
        let interval = interval.as_secs_f64();
        let n = self.gaps.len() as f64;
        let sum: f64 = self.gaps.iter().map(|gap| f64::from(*gap)).sum();
        // The prior counts as four samples, so that a few short gaps do not make the detector too sensitive.
        let mean = (sum + 4.0 * interval) / (n + 4.0);
        let squares: f64 = self.gaps.iter().map(|gap| (f64::from(*gap) - mean).powi(2)).sum();
        let deviation = ((squares + 4.0 * (interval / 4.0).powi(2)) / (n + 4.0))
            .sqrt()
            .max(interval / 10.0);
        // The normal distribution's tail by its logistic approximation.
        let y = (self.silence(now).as_secs_f64() - mean) / deviation.max(f64::MIN_POSITIVE);
        let e = (-y * (1.5976 + 0.070_566 * y * y)).exp();
        let tail = if y > 0.0 { e / (1.0 + e) } else { 1.0 - 1.0 / (1.0 + e) };
        -tail.max(f64::MIN_POSITIVE).log10()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    /// A link with arrivals after each of the gaps (seconds), repeatedly.
    fn link(gaps: &[u64]) -> (Arrivals, Duration) {
        let mut now = Duration::ZERO;
        let mut arrivals = Arrivals::new(now);
        for gap in gaps.iter().cycle().take(100) {
            now += Duration::from_secs(*gap);
            arrivals.record(now, INTERVAL);
        }
        (arrivals, now)
    }

    #[test]
    fn phi_grows_with_silence() {
        let (arrivals, now) = link(&[15]);
        let at = |seconds| arrivals.phi(now + Duration::from_secs(seconds), INTERVAL);
        assert!(at(15) < 1.0, "{}", at(15));
        assert!(at(15) < at(30) && at(30) < at(60) && at(60) <= at(90));
        assert!(at(60) > LATE, "{}", at(60));
    }

    #[test]
    fn a_slow_link_tolerates_a_longer_silence() {
        let (steady, then) = link(&[15]);
        let (slow, now) = link(&[10, 70]);
        let silence = Duration::from_secs(80);
        assert!(steady.phi(then + silence, INTERVAL) > LATE);
        assert!(slow.phi(now + silence, INTERVAL) < LATE);
    }

    #[test]
    fn a_burst_is_one_arrival() {
        let (mut arrivals, mut now) = link(&[15]);
        for _ in 0..1000 {
            now += Duration::from_millis(1);
            arrivals.record(now, INTERVAL);
        }
        assert!(arrivals.phi(now + Duration::from_secs(16), INTERVAL) < LATE);
    }
}
