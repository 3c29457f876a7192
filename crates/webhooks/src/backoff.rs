//! The pause before the next attempt.

use std::time::{Duration, SystemTime};

use bitcoin::secp256k1::rand::Rng as _;
use hyper::header::{HeaderMap, RETRY_AFTER};
use sdk_relay_config::WebhookConfig;
use sdk_relay_platform::{clock, random};

use crate::timeouts::Timeouts;

/// Each pause is this many times the one before.
const FACTOR: u32 = 4;
/// Pauses differ by up to this part of them, so that the endpoints of one server are not tried together.
const JITTER: f64 = 0.2;
/// Longest pause that an endpoint may ask for.
const MOST_ASKED: Duration = Duration::from_secs(24 * 3600);

/// When messages that failed are posted again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    first_pause: Duration,
    longest_pause: Duration,
    /// A webhook whose attempts have all failed for this long is disabled.
    pub(crate) give_up: Option<Duration>,
}

impl Retry {
    pub(crate) fn new(config: &WebhookConfig, timeouts: &Timeouts) -> Self {
        Self {
            first_pause: timeouts.first_pause,
            longest_pause: config.retry_interval.min(timeouts.longest_pause),
            give_up: config.disable_after,
        }
    }
}

/// The pause after so many failures in a row, at least 1; longer if the endpoint has asked for it.
pub(crate) fn pause(failures: u32, asked: Option<Duration>, retry: &Retry) -> Duration {
    let factor = FACTOR.saturating_pow(failures.saturating_sub(1));
    let pause = retry.first_pause.saturating_mul(factor).min(retry.longest_pause);
    let jitter = random::rng().gen_range(1.0 - JITTER..=1.0 + JITTER);
    let asked = asked.unwrap_or_default().min(MOST_ASKED);
    // What was asked for is the least: jitter only makes it longer.
    pause.mul_f64(jitter).max(asked.mul_f64(jitter.max(1.0)))
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at: SystemTime = httpdate::parse_http_date(text).ok()?;
    // It may be over.
    Some(at.duration_since(clock::now()).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn seconds(failures: u32, asked: Option<u64>) -> f64 {
        let retry = Retry {
            first_pause: Timeouts::default().first_pause,
            longest_pause: Duration::from_secs(3600),
            give_up: None,
        };
        pause(failures, asked.map(Duration::from_secs), &retry).as_secs_f64()
    }

    #[test]
    fn pauses_grow_up_to_the_longest() {
        for (failures, expected) in [
            (1, 5.0),
            (2, 20.0),
            (3, 80.0),
            (5, 1280.0),
            (6, 3600.0),
            (u32::MAX, 3600.0),
        ] {
            let pause = seconds(failures, None);
            assert!(
                (expected * 0.8..=expected * 1.2).contains(&pause),
                "{failures}: {pause}"
            );
        }
    }

    proptest! {
        #[test]
        fn an_endpoint_may_ask_for_a_longer_pause_up_to_a_day(failures in 1_u32..100, asked in any::<u64>()) {
            let pause = seconds(failures, Some(asked));
            let asked = asked.min(24 * 3600) as f64;
            prop_assert!(pause >= asked && pause <= asked.max(3600.0) * 1.2, "{} for {}", pause, asked);
        }
    }

    #[test]
    fn seconds_or_a_date() {
        let of =
            |text: &'static str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]));
        assert_eq!(of("120"), Some(Duration::from_secs(120)));
        assert_eq!(of("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO), "it is over");
        assert!(of("Fri, 31 Dec 9999 23:59:59 GMT").is_some_and(|pause| pause > MOST_ASKED));
        for wrong in ["", "soon", "-5", "1.5"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
