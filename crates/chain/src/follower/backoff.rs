//! Backoff between attempts after a failure of the source.

use std::time::Duration;

use bitcoin::secp256k1::rand::Rng;
use sdk_relay_platform::random;

/// Most connections to a running node work again at the first retry.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Upper bound of the time until a restarted node is used again. One request per pause is a negligible load.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Largest share by which a pause is shortened at random, so that several relays on one node do not retry at the same
/// moment.
const JITTER: f64 = 0.2;

/// Exponential backoff with an upper bound.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST_PAUSE }
    }

    /// Resets the backoff after an answer of the source.
    pub(super) fn reset(&mut self) {
        self.next = FIRST_PAUSE;
    }

    /// The pause before the next attempt.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST_PAUSE);
        pause.mul_f64(1.0 - random::rng().gen_range(0.0..JITTER))
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
