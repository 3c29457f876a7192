//! Admission of connections: counts them in total and per address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::client_network::network_of;

/// Counts connections.
#[derive(Debug)]
pub struct Admission {
    most: usize,
    most_per_address: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    /// Admitted connections by client address, which is known after the request.
    by_address: HashMap<IpAddr, usize>,
    /// Connections without a request yet, by TCP peer.
    arriving: HashMap<IpAddr, usize>,
}

/// A slot in the total, for a connection without a request yet; released on drop.
#[derive(Debug)]
pub struct PendingPermit {
    admission: Arc<Admission>,
    arriving: Option<IpAddr>,
}

/// A connection slot; released on drop.
#[derive(Debug)]
pub struct Permit {
    pending: PendingPermit,
    address: Option<IpAddr>,
}

/// Slots for connections that are not admitted, and get the reason before they are closed.
#[derive(Clone, Debug)]
pub struct Refusals(Arc<Semaphore>);

impl Refusals {
    /// At most this many at once.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }

    /// The slot of a connection without this permit; `None` inside: it needs none.
    ///
    /// # Errors
    /// There are too many of them. It is closed without a reason: sending one takes a descriptor and a task, which are
    /// bounded too.
    pub fn unless_admitted<P>(&self, permit: Option<&P>) -> Result<Option<OwnedSemaphorePermit>, TryAcquireError> {
        match permit {
            Some(_) => Ok(None),
            None => Arc::clone(&self.0).try_acquire_owned().map(Some),
        }
    }
}

impl Admission {
    /// At most `most` connections, and `most_per_address` of one address. Loopback addresses count only in the total:
    /// behind a reverse proxy, every client connects from there.
    pub fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_per_address,
            counts: Mutex::default(),
        })
    }

    /// A slot for a connection from this address, if one is free.
    pub fn admit(self: &Arc<Self>, from: IpAddr) -> Option<Permit> {
        self.reserve(None)?.admit(from).ok()
    }

    /// A slot for a connection without a request yet, if one is free. A peer has at most as many of these as an address
    /// has connections; `None` is a peer that forwards many clients.
    pub fn reserve(self: &Arc<Self>, peer: Option<IpAddr>) -> Option<PendingPermit> {
        let arriving = peer.and_then(counted);
        let mut counts = self.counts();
        if counts.all >= self.most {
            return None;
        }
        if let Some(peer) = arriving {
            take(&mut counts.arriving, peer, self.most_per_address)?;
        }
        counts.all += 1;
        Some(PendingPermit {
            admission: Arc::clone(self),
            arriving,
        })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingPermit {
    /// Converts it after a request from this address; returns `self` if the address has reached its limit.
    pub fn admit(mut self, from: IpAddr) -> Result<Permit, Self> {
        let address = counted(from);
        let mut counts = self.admission.counts();
        if let Some(peer) = self.arriving {
            give_back(&mut counts.arriving, peer);
        }
        let taken = match address {
            Some(address) => take(&mut counts.by_address, address, self.admission.most_per_address),
            None => Some(()),
        };
        drop(counts);
        self.arriving = None;
        match taken {
            Some(()) => Ok(Permit { pending: self, address }),
            None => Err(self),
        }
    }
}

impl Drop for PendingPermit {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        counts.all -= 1;
        if let Some(peer) = self.arriving {
            give_back(&mut counts.arriving, peer);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            give_back(&mut self.pending.admission.counts().by_address, address);
        }
    }
}

fn counted(address: IpAddr) -> Option<IpAddr> {
    (!address.to_canonical().is_loopback()).then(|| network_of(address))
}

fn take(counts: &mut HashMap<IpAddr, usize>, address: IpAddr, most: usize) -> Option<()> {
    let count = counts.entry(address).or_default();
    if *count >= most {
        return None;
    }
    *count += 1;
    Some(())
}

fn give_back(counts: &mut HashMap<IpAddr, usize>, address: IpAddr) {
    if let Some(count) = counts.get_mut(&address) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn counted_in_all_and_by_address() {
        let admission = Admission::new(4, 2);
        let first = admission.admit(ip("192.0.2.1")).unwrap();
        let _second = admission.admit(ip("192.0.2.1")).unwrap();
        assert!(admission.admit(ip("192.0.2.1")).is_none());
        assert!(
            admission.admit(ip("::ffff:192.0.2.1")).is_none(),
            "the same address, IPv4-mapped"
        );
        let _third = admission.admit(ip("192.0.2.2")).unwrap();
        let _fourth = admission.admit(ip("192.0.2.3")).unwrap();
        assert!(admission.admit(ip("192.0.2.4")).is_none(), "full");
        drop(first);
        assert!(admission.admit(ip("192.0.2.1")).is_some());
    }

    #[test]
    fn an_ipv6_customer_is_one_address() {
        let admission = Admission::new(100, 1);
        let _first = admission.admit(ip("2001:db8:1:2::1")).unwrap();
        assert!(admission.admit(ip("2001:db8:1:2:ffff::9")).is_none());
        assert!(admission.admit(ip("2001:db8:1:3::1")).is_some());
    }

    #[test]
    fn loopback_counts_only_in_all() {
        let admission = Admission::new(3, 1);
        let _held = [ip("127.0.0.1"), ip("127.0.0.1"), ip("::1")].map(|a| admission.admit(a).unwrap());
        assert!(admission.admit(ip("127.0.0.1")).is_none());
    }

    #[test]
    fn one_peer_cannot_take_all_slots_without_sending_requests() {
        let admission = Admission::new(10, 2);
        let mut pending = vec![admission.reserve(Some(ip("192.0.2.1"))).unwrap()];
        pending.push(admission.reserve(Some(ip("192.0.2.1"))).unwrap());
        assert!(admission.reserve(Some(ip("192.0.2.1"))).is_none());
        assert!(admission.reserve(Some(ip("192.0.2.2"))).is_some());
        // Clients are counted separately from peers, and a proxy is not counted.
        let permit = pending.pop().unwrap().admit(ip("198.51.100.1")).unwrap();
        pending.push(admission.reserve(Some(ip("192.0.2.1"))).unwrap());
        pending.extend((0..4).map(|_| admission.reserve(None).unwrap()));
        drop((permit, pending));
        let counts = admission.counts();
        assert_eq!((counts.all, counts.arriving.len(), counts.by_address.len()), (0, 0, 0));
    }
}
