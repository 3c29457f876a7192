//! Memory for answers that are not sent: those of more than 64 KiB, until the client has read them.
//!
//! A client decides when it reads an answer, and may ask on every connection that it may have: a BlindBit `full-block`
//! of 1.5 MB on each of 640 connections would be a gigabyte. The sum over all clients has a bound, and so has that of
//! one address, so that nobody uses up the bound of all.
//!
//! The share belongs to the bytes themselves. A slice of them keeps the whole allocation, wherever it is held (in the
//! buffer of hyper, in an encoder): the share is given back when the last slice is dropped, not when the body has
//! handed out its last one.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Bytes;

use crate::address_permits::{AddressPermit, AddressPermits};
use crate::client_network::network_of;

/// Answers of up to so many bytes have no share. All HTTP connections (1,024) with one each hold 64 MiB; most of it is
/// with the system, which accepts 128 KiB of a client that does not read.
pub const SMALL_ANSWER: u64 = 64 << 10;
/// Bytes of larger answers of all clients.
const ALL: u32 = 64 << 20;
/// Bytes of larger answers of one address (IPv6: of one /64).
const PER_ADDRESS: u32 = 16 << 20;

/// Gives shares of the memory for answers that are not sent.
#[derive(Debug)]
pub struct AnswerBudget {
    bytes: AddressPermits,
    per_address: u32,
}

/// Memory for one answer; dropping it gives it back.
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

    /// A share for an answer of so many bytes, if it fits.
    pub fn share(&self, client: IpAddr, bytes: usize) -> Option<AnswerShare> {
        let _bytes = self.bytes.try_acquire(network_of(client), self.permits(bytes))?;
        Some(AnswerShare { _bytes })
    }

    /// The same, as soon as it fits: in the order in which they were requested. `None` never comes: nothing closes the
    /// budget.
    pub async fn wait(&self, client: IpAddr, bytes: usize) -> Option<AnswerShare> {
        let _bytes = self.bytes.acquire(network_of(client), self.permits(bytes)).await.ok()?;
        Some(AnswerShare { _bytes })
    }

    /// An answer that is larger than the bound of an address takes all of that.
    fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.per_address)
    }
}

impl AnswerShare {
    /// The bytes, which keep the share until the last slice of them is dropped.
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
    fn an_address_has_its_bound_and_all_have_theirs() {
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
    fn the_last_slice_gives_the_share_back() {
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
    async fn who_waits_gets_what_is_given_back_and_takes_nothing_of_others() {
        let budget = AnswerBudget::new(100, 40);
        let held = budget.share(address(1), 40).unwrap();
        let mut waits = Box::pin(budget.wait(address(1), 40));
        assert!(timeout(Duration::from_secs(60), &mut waits).await.is_err());
        let others = [2, 3].map(|n| budget.share(address(n), 30));
        assert!(others.iter().all(Option::is_some));
        drop(held);
        let share = waits.await.unwrap();
        // One that is given up leaves its place.
        assert!(
            timeout(Duration::from_secs(60), budget.wait(address(1), 40))
                .await
                .is_err()
        );
        drop((share, others));
        assert!(budget.share(address(1), 40).is_some());
    }
}
