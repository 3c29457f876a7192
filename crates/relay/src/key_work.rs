//! Who may compute with keys now.
//!
//! A `watch` with a hundred labels takes some 10 ms of a processor before anything is scanned. Each address has one such computation at a time, all
//! of them together leave a processor to the rest of the relay: without that, the connections of one address would delay everybody's scans.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::available_parallelism;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Addresses that are remembered before those without a computation are forgotten.
const ADDRESSES: usize = 1024;

/// Turns for computing with keys.
#[derive(Debug)]
pub struct KeyWork {
    all: Arc<Semaphore>,
    by_address: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

/// A turn; dropping it lets the next one begin.
#[derive(Debug)]
pub(crate) struct Turn {
    _all: OwnedSemaphorePermit,
    _of_address: OwnedSemaphorePermit,
}

impl Default for KeyWork {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self::new(processors.saturating_sub(1).max(1))
    }
}

impl KeyWork {
    fn new(at_once: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(at_once)),
            by_address: Mutex::default(),
        }
    }

    /// Waits for a turn: first among those of the address, in the order in which they came, then among the addresses.
    pub(crate) async fn turn(&self, address: IpAddr) -> Result<Turn, AcquireError> {
        let of_address = self.of(address).acquire_owned().await?;
        let all = Arc::clone(&self.all).acquire_owned().await?;
        Ok(Turn {
            _all: all,
            _of_address: of_address,
        })
    }

    fn of(&self, address: IpAddr) -> Arc<Semaphore> {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = by_address.get(&address).and_then(Weak::upgrade) {
            return turns;
        }
        if by_address.len() >= ADDRESSES {
            by_address.retain(|_, turns| turns.strong_count() > 0);
        }
        let turns = Arc::new(Semaphore::new(1));
        by_address.insert(address, Arc::downgrade(&turns));
        turns
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

    #[tokio::test]
    async fn addresses_without_a_turn_are_forgotten() {
        let work = KeyWork::new(1);
        for n in 0..3 * ADDRESSES as u32 {
            drop(work.turn(IpAddr::V4(Ipv4Addr::from_bits(n))).await.unwrap());
        }
        assert!(work.by_address.lock().unwrap().len() <= ADDRESSES);
    }
}
