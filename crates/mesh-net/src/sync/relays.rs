//! Rate limit of `relay_connected` events.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Announcements in a burst, and then one per interval. Relays are few and stay connected; without a limit anybody
/// could evict all other events from the log by reconnecting.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(20).unwrap();
const EVERY: Duration = Duration::from_secs(30);

/// Two limits: one for the relays of the mesh together, and one for those without a key, so that those cannot use up
/// the announcements of the mesh. `relay_disconnected` is sent if `relay_connected` was.
#[derive(Debug)]
pub(crate) struct Announcements {
    mesh: Option<DefaultDirectRateLimiter>,
    unproven: Option<DefaultDirectRateLimiter>,
    warned: DefaultDirectRateLimiter,
}

impl Default for Announcements {
    fn default() -> Self {
        let limit = || Quota::with_period(EVERY).map(|quota| RateLimiter::direct(quota.allow_burst(AT_ONCE)));
        Self {
            mesh: limit(),
            unproven: limit(),
            warned: RateLimiter::direct(Quota::per_minute(NonZeroU32::MIN)),
        }
    }
}

impl Announcements {
    /// Whether a relay of the mesh may be announced now.
    pub(crate) fn may_announce(&self) -> bool {
        self.within(self.mesh.as_ref())
    }

    /// Whether a relay without a key may be announced now.
    pub(crate) fn may_announce_unproven(&self) -> bool {
        self.within(self.unproven.as_ref())
    }

    fn within(&self, limit: Option<&DefaultDirectRateLimiter>) -> bool {
        let may = limit.is_none_or(|limit| limit.check().is_ok());
        if !may && self.warned.check().is_ok() {
            tracing::warn!("relays connect too often; some relay_connected notifications are not sent");
        }
        may
    }
}

/// Whether a string is a valid name of a relay.
pub fn is_relay_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_without_a_key_do_not_use_the_limit_of_the_mesh() {
        let announcements = Announcements::default();
        while announcements.may_announce_unproven() {}
        assert!(announcements.may_announce());
    }
}
