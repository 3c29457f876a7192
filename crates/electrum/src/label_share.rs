//! The labels that the watches of clients may have: they take the memory of a watch.

use std::net::IpAddr;
use std::sync::Arc;

use sdk_relay_config::ElectrumConfig;
use sdk_relay_transport::{AddressPermit, AddressPermits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::RpcError;
use crate::limits::{LABELS, LABELS_AT_LEAST, LABELS_PER_SUBSCRIPTION, WATCHES_OF_SUBSCRIPTION};

/// The labels of all clients, and of each address.
#[derive(Debug)]
pub(crate) struct LabelShares {
    all: Arc<Semaphore>,
    by_address: AddressPermits,
    /// How many an address may have.
    of_address: usize,
}

/// The share of one watch; returned on drop.
#[derive(Debug)]
pub(crate) struct LabelShare {
    /// `None`: the address has no limit.
    _of_address: Option<AddressPermit>,
    _of_all: OwnedSemaphorePermit,
}

impl LabelShares {
    /// As many as this configuration needs.
    pub(crate) fn new(config: &ElectrumConfig) -> Self {
        // Whatever is configured, the largest subscription can be widened.
        let of_watch = config.labels_per_subscription.saturating_add(1).max(LABELS_AT_LEAST);
        let of_one = of_watch.saturating_mul(WATCHES_OF_SUBSCRIPTION);
        let of_address = config
            .subscriptions_per_connection
            .saturating_mul(LABELS_PER_SUBSCRIPTION)
            .max(of_one);
        Self::of(LABELS.max(of_address), of_address)
    }

    fn of(all: usize, of_address: usize) -> Self {
        let of_address = of_address.min(Semaphore::MAX_PERMITS);
        Self {
            all: Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS))),
            by_address: AddressPermits::new(Semaphore::MAX_PERMITS, of_address),
            of_address,
        }
    }

    /// The share of a watch with this number of labels.
    ///
    /// # Errors
    /// The address, or all clients, have too many.
    pub(crate) fn take(&self, address: IpAddr, labels: usize) -> Result<LabelShare, RpcError> {
        let permits = u32::try_from(labels.max(LABELS_AT_LEAST)).unwrap_or(u32::MAX);
        // All clients of a proxy share it.
        let of_address = if address.to_canonical().is_loopback() {
            None
        } else {
            let permit = self.by_address.try_acquire(address, permits);
            Some(permit.ok_or_else(|| {
                RpcError::parameter(format!(
                    "the subscriptions of this address have too many labels: {} are allowed, {LABELS_PER_SUBSCRIPTION} times \
                     electrum.subscriptions_per_connection or {WATCHES_OF_SUBSCRIPTION} times electrum.labels_per_subscription, and a watch \
                     takes {LABELS_AT_LEAST} at least; end one first",
                    self.of_address
                ))
            })?)
        };
        let of_all = Arc::clone(&self.all).try_acquire_many_owned(permits);
        Ok(LabelShare {
            _of_address: of_address,
            _of_all: of_all.map_err(|_| {
                RpcError::unavailable("the subscriptions of all clients have too many labels: try again later")
            })?,
        })
    }
}

#[cfg(test)]
impl LabelShare {
    /// Of a test.
    pub(crate) fn unlimited() -> Self {
        let all = Arc::new(Semaphore::new(1));
        Self {
            _of_address: None,
            _of_all: all.try_acquire_owned().expect("a permit"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_shared_by_the_watches_of_an_address_and_of_all() {
        let shares = LabelShares::of(4_000, 2_000);
        let take = |n: u8, labels| shares.take([192, 0, 2, n].into(), labels);
        let large = take(1, 1_001).unwrap();
        // Watches with few labels take more than they have: their number is bounded too.
        let small: Vec<_> = std::iter::from_fn(|| take(1, 1).ok()).collect();
        assert_eq!(small.len(), (2_000 - 1_001) / LABELS_AT_LEAST);
        let refused = take(1, 1).unwrap_err();
        assert!(
            refused.code == -32_602
                && refused.message.contains("2000 are allowed")
                && refused.message.contains("electrum.subscriptions_per_connection"),
            "{refused:?}"
        );
        let other = take(2, 1_500).unwrap();
        assert_eq!(take(3, 1_500).unwrap_err().code, 2, "those of all");
        // Behind a proxy, too.
        assert!(shares.take([127, 0, 0, 1].into(), 1_500).is_err());
        drop((large, other));
        assert!(take(3, 1_500).is_ok() && take(1, 1).is_ok());
    }

    #[test]
    fn the_largest_subscription_fits_and_can_be_widened() {
        for (subscriptions, labels) in [(1_000, 1_000), (1, 1_000_000), (1, 0), (1_000_000, 0)] {
            let shares = LabelShares::new(&ElectrumConfig {
                subscriptions_per_connection: subscriptions,
                labels_per_subscription: labels,
                ..ElectrumConfig::default()
            });
            let take = || shares.take([192, 0, 2, 1].into(), labels + 1);
            let watches: Vec<_> = (0..WATCHES_OF_SUBSCRIPTION).map(|_| take()).collect();
            let is_ok = watches.iter().all(Result::is_ok);
            assert!(is_ok, "{subscriptions} subscriptions, {labels} labels");
        }
    }
}
