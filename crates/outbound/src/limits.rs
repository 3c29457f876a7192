//! How many requests clients can cause.

use std::num::NonZeroU32;
use std::time::Duration;

/// Limits on requests. A relay has those of [`Default`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// All requests.
    pub all: Limit,
    /// Those that one client causes (IPv4: an address, IPv6: a /64).
    pub client: Limit,
    /// Those to one host name, and those to one address (IPv6: a /64), whatever its names.
    pub destination: Limit,
}

/// Limit on the requests of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Attempts at the same time.
    pub in_flight: u32,
    /// Attempts a minute, on average.
    pub per_minute: NonZeroU32,
    /// Attempts that may follow each other without a pause.
    pub burst: NonZeroU32,
}

impl Limit {
    /// Time that an attempt costs.
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_secs(60) / self.per_minute.get()
    }

    /// How far ahead of its average it may be.
    pub(crate) fn tolerance(&self) -> Duration {
        self.interval() * (self.burst.get() - 1)
    }
}

const fn limit(in_flight: u32, per_minute: u32, burst: u32) -> Limit {
    Limit {
        in_flight,
        per_minute: positive(per_minute),
        burst: positive(burst),
    }
}

const fn positive(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

impl Default for Limits {
    /// All phones with Chrome have one destination, `fcm.googleapis.com`, and a destination that a client chooses as a
    /// victim notices ten small requests a second no more than the client's own. An attempt takes less than a second,
    /// or up to 45 s if its destination is slow: 64 addresses of clients are needed to use all 256 slots with slow
    /// ones.
    fn default() -> Self {
        Self {
            all: limit(256, 3000, 1500),
            client: limit(4, 60, 30),
            destination: limit(32, 600, 300),
        }
    }
}
