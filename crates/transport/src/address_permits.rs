//! Permits of something that addresses share: so many in all, and so many for each address, so that none uses up what
//! all have.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Addresses that are remembered before those without a permit are forgotten.
const ADDRESSES: usize = 1000;

/// Gives permits.
#[derive(Debug)]
pub struct AddressPermits {
    all: Arc<Semaphore>,
    per_address: usize,
    by_address: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

/// Some permits; dropping it gives them back.
#[derive(Debug)]
pub struct AddressPermit {
    _of_address: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl AddressPermits {
    /// So many in all, and for each address.
    pub fn new(all: usize, per_address: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            per_address,
            by_address: Mutex::default(),
        }
    }

    /// So many permits, if there are as many now.
    pub fn try_acquire(&self, address: IpAddr, permits: u32) -> Option<AddressPermit> {
        Some(AddressPermit {
            _of_address: self.of(address).try_acquire_many_owned(permits).ok()?,
            _of_all: Arc::clone(&self.all).try_acquire_many_owned(permits).ok()?,
        })
    }

    /// The same, as soon as there are as many: first among the requests of the address, in the order in which they
    /// came, then among the addresses. What waits for its own address takes nothing of the others. It never fails:
    /// nothing closes a semaphore.
    pub async fn acquire(&self, address: IpAddr, permits: u32) -> Result<AddressPermit, AcquireError> {
        Ok(AddressPermit {
            _of_address: self.of(address).acquire_many_owned(permits).await?,
            _of_all: Arc::clone(&self.all).acquire_many_owned(permits).await?,
        })
    }

    fn of(&self, address: IpAddr) -> Arc<Semaphore> {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if by_address.len() >= ADDRESSES {
            // Permits and those who wait for them keep the semaphore of their address.
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
