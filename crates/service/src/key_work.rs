//! Who may compute with keys now.
//!
//! A `watch` with a hundred labels takes some 10 ms of a processor before anything is scanned. Each address has one
//! such computation at a time, all of them together leave a processor to the rest of the relay: without that, the
//! connections of one address would delay everybody's scans.

use std::net::IpAddr;
use std::num::NonZero;
use std::thread::available_parallelism;

use sdk_relay_transport::{AddressPermit, AddressPermits};
use tokio::sync::AcquireError;

/// Turns for computing with keys.
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

    /// Waits for a turn: first among those of the address, in the order in which they came, then among the addresses.
    /// Dropping it lets the next one begin.
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
    async fn many_connections_of_one_address_take_one_turn_at_a_time() {
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
