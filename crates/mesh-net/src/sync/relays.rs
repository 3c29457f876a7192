//! How often the coming and going of relays is announced.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Comings of relays that are announced and logged, at once and then per interval. Relays are few and stay; without a bound anybody
/// could push every other event out of the log by connecting again and again.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(20).unwrap();
const EVERY: Duration = Duration::from_secs(30);

/// The bound of `relay_connected` events, of all relays together. A going is announced where the coming was.
#[derive(Debug)]
pub(crate) struct Announcements {
    announced: Option<DefaultDirectRateLimiter>,
    warned: DefaultDirectRateLimiter,
}

impl Default for Announcements {
    fn default() -> Self {
        Self {
            announced: Quota::with_period(EVERY).map(|quota| RateLimiter::direct(quota.allow_burst(AT_ONCE))),
            warned: RateLimiter::direct(Quota::per_minute(NonZeroU32::MIN)),
        }
    }
}

impl Announcements {
    /// Whether another relay's coming may be announced now.
    pub(crate) fn may_announce(&self) -> bool {
        let may = self
            .announced
            .as_ref()
            .is_none_or(|announced| announced.check().is_ok());
        if !may && self.warned.check().is_ok() {
            tracing::warn!("relays connect too often; some relay_connected notifications are not sent");
        }
        may
    }
}

/// Whether a text can name a relay.
pub fn is_relay_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}
