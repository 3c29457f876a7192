//! Rate limit of handshakes per address: each costs signatures, a link and entries of tables.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use sdk_relay_transport::network_of;
use tokio::time::Instant;

/// Handshakes of one address (IPv6: of one /64) in a burst, and then per second. A relay dials another a few times an
/// hour, and several may share an address.
const AT_ONCE: f64 = 60.0;
const PER_SECOND: f64 = 1.0;
/// Addresses that are tracked. Beyond it new addresses wait until the bucket of one is full again, a minute at most.
const ADDRESSES: usize = 4096;

/// A token bucket for each address that has used tokens.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    buckets: Mutex<HashMap<IpAddr, (Instant, f64)>>,
}

impl Handshakes {
    /// Whether a relay of this address may begin a handshake now.
    pub(super) fn may_begin(&self, from: IpAddr) -> bool {
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let network = network_of(from);
        if buckets.len() >= ADDRESSES && !buckets.contains_key(&network) {
            buckets.retain(|_, bucket| filled(now, *bucket) < AT_ONCE);
            if buckets.len() >= ADDRESSES {
                return false;
            }
        }
        let bucket = buckets.entry(network).or_insert((now, AT_ONCE));
        let tokens = filled(now, *bucket);
        let enough = tokens >= 1.0;
        *bucket = (now, if enough { tokens - 1.0 } else { tokens });
        enough
    }
}

fn filled(now: Instant, (at, tokens): (Instant, f64)) -> f64 {
    let passed = now.saturating_duration_since(at).as_secs_f64();
    (tokens + passed * PER_SECOND).min(AT_ONCE)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn handshakes_are_limited_per_address() {
        let handshakes = Handshakes::default();
        let one = IpAddr::from([127, 0, 0, 1]);
        let count = |from: IpAddr| (0..1000).filter(|_| handshakes.may_begin(from)).count();
        assert_eq!(count(one), AT_ONCE as usize);
        assert!(handshakes.may_begin(IpAddr::from([192, 0, 2, 1])));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(count(one), 10);
        // All addresses of an IPv6 /64 share a bucket.
        assert_eq!(count("2001:db8::1".parse().unwrap()), AT_ONCE as usize);
        assert!(!handshakes.may_begin("2001:db8::ffff:2".parse().unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn tracked_addresses_are_limited() {
        let handshakes = Handshakes::default();
        let address = |n: u32| IpAddr::from(Ipv4Addr::from_bits(0x0100_0000 + n));
        for n in 0..ADDRESSES as u32 {
            assert!(handshakes.may_begin(address(n)));
        }
        assert!(!handshakes.may_begin(address(ADDRESSES as u32)));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(handshakes.may_begin(address(ADDRESSES as u32)));
        assert_eq!(handshakes.buckets.lock().unwrap().len(), 1);
    }
}
