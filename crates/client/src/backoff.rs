//! Exponential backoff with a cap and jitter.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use crate::defaults::{BACKOFF_CAP, BACKOFF_FIRST};

/// Capped exponential backoff with jitter: each wait is between half of its step and the whole step, so that the
/// clients of a restarted relay do not reconnect all at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// Returns the next wait.
    pub(crate) fn next(&mut self) -> Duration {
        let step = BACKOFF_FIRST
            .saturating_mul(2_u32.saturating_pow(self.attempts))
            .min(BACKOFF_CAP);
        self.attempts = self.attempts.saturating_add(1);
        spread(step, random())
    }

    /// Resets the backoff after a stable connection.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// A random number. Not for secrets: the standard library seeds its hash tables from the system's randomness, which
/// is sufficient for jitter and message ids.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn spread(step: Duration, random: u64) -> Duration {
    let half = step / 2;
    let share = u32::try_from(random >> 32).unwrap_or(u32::MAX);
    half + half.mul_f64(f64::from(share) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap_and_resets() {
        let mut backoff = Backoff::default();
        let mut step = BACKOFF_FIRST;
        for _ in 0..100 {
            let wait = backoff.next();
            assert!(wait >= step / 2 && wait <= step, "{wait:?} of {step:?}");
            step = (step * 2).min(BACKOFF_CAP);
        }
        assert_eq!(step, BACKOFF_CAP);
        backoff.reset();
        assert!(backoff.next() <= BACKOFF_FIRST);
    }

    #[test]
    fn spreads_over_the_upper_half() {
        let step = Duration::from_secs(2);
        assert_eq!(spread(step, 0), Duration::from_secs(1));
        assert_eq!(spread(step, u64::MAX), step);
        assert_ne!(random(), random());
    }
}
