//! Budget of the memory of unsent answers of more than 64 KiB, until the client has read them.
//!
//! A client may send a request on each of its connections and never read the answers: a BlindBit `full-block` of 1.5 MB
//! on each of 640 connections would be a gigabyte. The sum over all clients is bounded, and so is the sum of one
//! address, so that no address can exhaust the total.
//!
//! A share is attached to the bytes. A slice keeps the whole allocation alive, wherever it is held (in the buffer of
//! hyper, in an encoder): the share is released when the last slice is dropped, not when the body has returned its last
//! one.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Bytes;

use crate::address_permits::{AddressPermit, AddressPermits};
use crate::client_network::network_of;

/// Answers up to this size need no share. One on each HTTP connection (1,024) is 64 MiB in total, mostly in kernel
/// buffers, which hold 128 KiB for a client that does not read.
pub const SMALL_ANSWER: u64 = 64 << 10;
/// Total bytes of larger answers of all clients.
const ALL: u32 = 64 << 20;
/// Total bytes of larger answers of one address (IPv6: of one /64).
const PER_ADDRESS: u32 = 16 << 20;

/// Budget of the memory of unsent answers.
#[derive(Debug)]
pub struct AnswerBudget {
    bytes: AddressPermits,
    per_address: u32,
}

/// Memory share of one answer; released on drop.
#[derive(Debug)]
pub struct AnswerShare {
    _bytes: AddressPermit,
}

impl Default for AnswerBudget {
    fn default() -> Self {
        Self::new(ALL, PER_ADDRESS)
    }
}

impl AnswerBudget {
    fn new(all: u32, per_address: u32) -> Self {
        Self {
            bytes: AddressPermits::new(all as usize, per_address as usize),
            per_address,
        }
    }

    /// A share for an answer of this size, if available.
    pub fn share(&self, client: IpAddr, bytes: usize) -> Option<AnswerShare> {
        let _bytes = self.bytes.try_acquire(network_of(client), self.permits(bytes))?;
        Some(AnswerShare { _bytes })
    }

    /// Waits for a share, first come, first served. Never returns `None`: the budget is never closed.
    pub async fn wait(&self, client: IpAddr, bytes: usize) -> Option<AnswerShare> {
        let _bytes = self.bytes.acquire(network_of(client), self.permits(bytes)).await.ok()?;
        Some(AnswerShare { _bytes })
    }

    /// An answer larger than the bound of an address takes the whole bound.
    fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.per_address)
    }
}

impl AnswerShare {
    /// Attaches the share to the bytes, until their last slice is dropped.
    pub fn hold(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        let _share = Arc::clone(self);
        Bytes::from_owner(Held { bytes, _share })
    }
}

struct Held {
    bytes: Bytes,
    _share: Arc<AnswerShare>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, timeout};

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn one_address_and_all_together_are_bounded() {
        let budget = AnswerBudget::new(100, 40);
        let first = budget.share(address(1), 30).unwrap();
        assert!(budget.share(address(1), 11).is_none(), "of the address");
        let _second = budget.share(address(1), 10).unwrap();
        let _third = budget.share(address(2), 1000).unwrap();
        assert!(
            budget.share(address(2), 1).is_none(),
            "a larger answer takes all of its address"
        );
        assert!(budget.share(address(3), 21).is_none(), "of all");
        drop(first);
        assert!(budget.share(address(3), 40).is_some() && budget.share(address(1), 30).is_some());
        let near: IpAddr = "2001:db8::1".parse().unwrap();
        let _share = budget.share(near, 40).unwrap();
        assert!(budget.share("2001:db8::2".parse().unwrap(), 1).is_none(), "one /64");
    }

    #[test]
    fn the_last_slice_releases_the_share() {
        let budget = AnswerBudget::new(100, 100);
        let share = Arc::new(budget.share(address(1), 100).unwrap());
        let bytes = share.hold(Bytes::from(vec![7; 100]));
        drop(share);
        let slice = bytes.slice(99..);
        drop(bytes);
        assert!(budget.share(address(1), 1).is_none());
        assert_eq!(&*slice, [7]);
        drop(slice);
        assert!(budget.share(address(1), 100).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_gets_released_shares_and_takes_none_of_others() {
        let budget = AnswerBudget::new(100, 40);
        let held = budget.share(address(1), 40).unwrap();
        let mut waits = Box::pin(budget.wait(address(1), 40));
        assert!(timeout(Duration::from_secs(60), &mut waits).await.is_err());
        let others = [2, 3].map(|n| budget.share(address(n), 30));
        assert!(others.iter().all(Option::is_some));
        drop(held);
        let share = waits.await.unwrap();
        // A cancelled waiter leaves the queue.
        assert!(
            timeout(Duration::from_secs(60), budget.wait(address(1), 40))
                .await
                .is_err()
        );
        drop((share, others));
        assert!(budget.share(address(1), 40).is_some());
    }
}
