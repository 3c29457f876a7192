//! Limits concurrent computations with keys.
//!
//! A `watch` with a hundred labels takes about 10 ms of CPU time before its scan. Each address has one such computation
//! at a time, and all together leave one processor free: otherwise the connections of one address would delay the scans
//! of all.

use std::net::IpAddr;
use std::num::NonZero;
use std::thread::available_parallelism;

use sdk_relay_transport::{AddressPermit, AddressPermits};
use tokio::sync::AcquireError;

/// Permits for computations with keys.
#[derive(Debug)]
pub struct KeyWork(AddressPermits);

impl Default for KeyWork {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self::new(processors.saturating_sub(1).max(1))
    }
}

impl KeyWork {
    fn new(at_once: usize) -> Self {
        Self(AddressPermits::new(at_once, 1))
    }

    /// Waits for a permit: first in the queue of the address, then in that of all addresses.
    pub async fn turn(&self, address: IpAddr) -> Result<AddressPermit, AcquireError> {
        self.0.acquire(address, 1).await
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt as _;

    use super::*;

    const BUSY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    #[tokio::test]
    async fn many_connections_of_one_address_get_one_permit_at_a_time() {
        let work = KeyWork::new(1);
        let first = work.turn(BUSY).await.unwrap();
        let mut waiting: Vec<_> = (0..30).map(|_| Box::pin(work.turn(BUSY))).collect();
        assert!(waiting.iter_mut().all(|turn| turn.as_mut().now_or_never().is_none()));
        let mut other = Box::pin(work.turn(OTHER));
        assert!(other.as_mut().now_or_never().is_none());
        drop(first);
        let turn = other
            .as_mut()
            .now_or_never()
            .expect("another address waits for one turn at most");
        assert!(waiting.iter_mut().all(|turn| turn.as_mut().now_or_never().is_none()));
        drop(turn);
        assert!(waiting[0].as_mut().now_or_never().is_some());
    }
}
