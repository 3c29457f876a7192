//! Permits shared by addresses, with a bound in total and one per address, so that no address can exhaust them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Number of addresses above which those without a permit are removed.
const ADDRESSES: usize = 1000;

/// Gives permits.
#[derive(Debug)]
pub struct AddressPermits {
    all: Arc<Semaphore>,
    per_address: usize,
    by_address: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

/// Acquired permits; released on drop.
#[derive(Debug)]
pub struct AddressPermit {
    _of_address: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl AddressPermits {
    /// `all` permits in total, `per_address` for each address.
    pub fn new(all: usize, per_address: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            per_address,
            by_address: Mutex::default(),
        }
    }

    /// Acquires permits if they are available now.
    pub fn try_acquire(&self, address: IpAddr, permits: u32) -> Option<AddressPermit> {
        Some(AddressPermit {
            _of_address: self.of(address).try_acquire_many_owned(permits).ok()?,
            _of_all: Arc::clone(&self.all).try_acquire_many_owned(permits).ok()?,
        })
    }

    /// Waits for permits, first in the queue of the address, then in the queue of all. A request that waits for its own
    /// address takes no permits of others. Never fails: the semaphores are never closed.
    pub async fn acquire(&self, address: IpAddr, permits: u32) -> Result<AddressPermit, AcquireError> {
        Ok(AddressPermit {
            _of_address: self.of(address).acquire_many_owned(permits).await?,
            _of_all: Arc::clone(&self.all).acquire_many_owned(permits).await?,
        })
    }

    fn of(&self, address: IpAddr) -> Arc<Semaphore> {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if by_address.len() >= ADDRESSES {
            // Permits and waiters keep the semaphore of their address alive.
            by_address.retain(|_, semaphore| semaphore.strong_count() > 0);
        }
        let known = by_address.entry(address).or_default();
        known.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Semaphore::new(self.per_address));
            *known = Arc::downgrade(&new);
            new
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[tokio::test]
    async fn addresses_without_a_permit_are_forgotten() {
        let permits = AddressPermits::new(100, 40);
        let kept = permits.try_acquire(address(1), 40);
        for n in 2..3 * ADDRESSES as u32 {
            assert!(permits.try_acquire(address(n), 40).is_some());
            drop(permits.acquire(address(n), 1).await.unwrap());
        }
        assert!(permits.by_address.lock().unwrap().len() <= ADDRESSES);
        assert!(permits.try_acquire(address(1), 1).is_none(), "it has its permits");
        drop(kept);
    }
}
