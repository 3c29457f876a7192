//! How long to wait before a source that failed is asked again.

use std::time::Duration;

use bitcoin::secp256k1::rand::{Rng, thread_rng};

/// A broken connection to a node that runs is most often good again at once.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A node's return is noticed within this time; one question per pause costs nobody anything.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Share by which a pause is shortened at random, so that several relays on one node do not ask in step.
const JITTER: f64 = 0.2;

/// Doubling pauses, up to a bound.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST_PAUSE }
    }

    /// Starts over: the source has answered.
    pub(super) fn reset(&mut self) {
        self.next = FIRST_PAUSE;
    }

    /// The pause before the next attempt.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST_PAUSE);
        pause.mul_f64(1.0 - thread_rng().gen_range(0.0..JITTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound_and_start_over() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..8).map(|_| backoff.pause()).collect();
        let mut expected = FIRST_PAUSE;
        for pause in pauses {
            assert!(
                pause <= expected && pause >= expected.mul_f64(1.0 - JITTER),
                "{pause:?} for {expected:?}"
            );
            expected = (expected * 2).min(LONGEST_PAUSE);
        }
        assert_eq!(expected, LONGEST_PAUSE);
        backoff.reset();
        assert!(backoff.pause() <= FIRST_PAUSE);
    }
}
