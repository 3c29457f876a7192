//! What requests may cost: token buckets and slots, of each client, of each destination and in all.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{Limit, Limits};

/// Most clients and destinations that are remembered. An entry is removed when it is as a new one: all buckets are full
/// again half a minute after their last use, in which the default limits allow 3,000 attempts of four entries each.
const ENTRIES: usize = 16_384;
/// When to try again if too many attempts are running: most are short.
const SLOT_WAIT: Duration = Duration::from_secs(1);

/// What a limit holds for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    All,
    Client(IpAddr),
    Name(String),
    Address(IpAddr),
}

/// An attempt is not made now, because of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// What has too many: "the relay", "the client", "the destination".
    pub of: &'static str,
    /// When an attempt may be made.
    pub retry_after: Duration,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.retry_after.as_secs_f64().ceil();
        write!(f, "too many requests of {}: try again in {seconds} s", self.of)
    }
}

/// The buckets of all clients and destinations. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Budgets(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    entries: Mutex<HashMap<Key, Entry>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// When all attempts so far are paid for (the theoretical arrival time of GCRA).
    paid_at: Instant,
    in_flight: u32,
}

impl Entry {
    /// Whether it is as if it had never been used.
    fn is_new(&self, now: Instant) -> bool {
        self.in_flight == 0 && self.paid_at <= now
    }
}

/// A running attempt. It counts until the last clone is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    shared: Arc<Shared>,
    keys: Vec<Key>,
}

impl Budgets {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared {
            limits,
            entries: Mutex::default(),
        }))
    }

    /// Begins an attempt: takes a token and a slot of each key, or nothing.
    pub(crate) fn admit(&self, keys: Vec<Key>) -> Result<Slot, Busy> {
        self.0.take(&keys, Instant::now())?;
        Ok(Slot {
            shared: Arc::clone(&self.0),
            keys,
        })
    }
}

impl Shared {
    fn limit(&self, key: &Key) -> &Limit {
        match key {
            Key::All => &self.limits.all,
            Key::Client(_) => &self.limits.client,
            Key::Name(_) | Key::Address(_) => &self.limits.destination,
        }
    }

    fn take(&self, keys: &[Key], now: Instant) -> Result<(), Busy> {
        let mut entries = self.lock();
        for key in keys {
            let limit = self.limit(key);
            let of = match key {
                Key::All => "the relay",
                Key::Client(_) => "the client",
                Key::Name(_) | Key::Address(_) => "the destination",
            };
            let Some(entry) = entries.get(key) else { continue };
            if entry.in_flight >= limit.in_flight {
                return Err(Busy {
                    of,
                    retry_after: SLOT_WAIT,
                });
            }
            let ahead = entry.paid_at.saturating_duration_since(now);
            if ahead > limit.tolerance() {
                let retry_after = ahead - limit.tolerance();
                return Err(Busy { of, retry_after });
            }
        }
        if entries.len() + keys.len() > ENTRIES {
            entries.retain(|_, entry| !entry.is_new(now));
            if entries.len() + keys.len() > ENTRIES {
                return Err(Busy {
                    of: "the relay",
                    retry_after: SLOT_WAIT,
                });
            }
        }
        for key in keys {
            let interval = self.limit(key).interval();
            let entry = entries.entry(key.clone()).or_insert(Entry {
                paid_at: now,
                in_flight: 0,
            });
            entry.paid_at = entry.paid_at.max(now) + interval;
            entry.in_flight += 1;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Takes a token and a slot of a further key for the same attempt.
    pub(crate) fn extend(&self, key: Key) -> Result<Self, Busy> {
        let keys = vec![key];
        self.shared.take(&keys, Instant::now())?;
        Ok(Self {
            shared: Arc::clone(&self.shared),
            keys,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut entries = self.shared.lock();
        for key in &self.keys {
            if let Some(entry) = entries.get_mut(key) {
                entry.in_flight = entry.in_flight.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use tokio::time::advance;

    use super::*;

    fn limit(in_flight: u32, per_minute: u32, burst: u32) -> Limit {
        Limit {
            in_flight,
            per_minute: NonZeroU32::new(per_minute).unwrap(),
            burst: NonZeroU32::new(burst).unwrap(),
        }
    }

    fn budgets() -> Budgets {
        Budgets::new(Limits {
            all: limit(8, 6000, 6000),
            client: limit(2, 60, 3),
            destination: limit(4, 600, 100),
        })
    }

    fn keys(client: u8, name: &str) -> Vec<Key> {
        vec![
            Key::All,
            Key::Client([10, 0, 0, client].into()),
            Key::Name(name.to_owned()),
        ]
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_has_a_burst_and_then_its_average() {
        let budgets = budgets();
        for _ in 0..3 {
            budgets.admit(keys(1, "a.example")).unwrap();
        }
        let busy = budgets.admit(keys(1, "b.example")).unwrap_err();
        assert_eq!((busy.of, busy.retry_after), ("the client", Duration::from_secs(1)));
        assert_eq!(busy.to_string(), "too many requests of the client: try again in 1 s");
        // Nobody else notices.
        budgets.admit(keys(2, "a.example")).unwrap();
        advance(busy.retry_after).await;
        budgets.admit(keys(1, "a.example")).unwrap();
        assert!(budgets.admit(keys(1, "a.example")).is_err());
        // A minute later it has its burst again, and not more.
        advance(Duration::from_secs(60)).await;
        let admitted = (0..10).filter(|_| budgets.admit(keys(1, "a.example")).is_ok());
        assert_eq!(admitted.count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn slots_of_a_client_and_of_a_destination_are_given_back() {
        let budgets = budgets();
        let held: Vec<_> = (0..2)
            .map(|_| budgets.admit(keys(1, "slow.example")).unwrap())
            .collect();
        assert_eq!(budgets.admit(keys(1, "b.example")).unwrap_err().of, "the client");
        let others: Vec<_> = (2..4)
            .map(|n| budgets.admit(keys(n, "slow.example")).unwrap())
            .collect();
        assert_eq!(
            budgets.admit(keys(9, "slow.example")).unwrap_err().of,
            "the destination"
        );
        // The slow destination delays only itself.
        let free: Vec<_> = (4..8).map(|n| budgets.admit(keys(n, "b.example")).unwrap()).collect();
        assert_eq!(budgets.admit(keys(9, "c.example")).unwrap_err().of, "the relay");
        drop((held, others, free));
        assert!(budgets.admit(keys(9, "slow.example")).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn many_names_of_one_address_share_its_limit() {
        let budgets = budgets();
        let address = Key::Address([9, 9, 9, 9].into());
        let held: Vec<_> = (0..4)
            .map(|n| {
                let slot = budgets.admit(keys(n, &format!("{n}.example"))).unwrap();
                (slot.extend(address.clone()).unwrap(), slot)
            })
            .collect();
        let slot = budgets.admit(keys(9, "9.example")).unwrap();
        assert_eq!(slot.extend(address.clone()).unwrap_err().of, "the destination");
        drop(held);
        assert!(slot.extend(address).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_forgets_nothing_that_counts() {
        let budgets = Budgets::new(Limits {
            all: limit(4, 1_000_000, 1_000_000),
            ..Limits::default()
        });
        let client = |n: u32| vec![Key::Client(n.to_be_bytes().into())];
        // The burst of the first client is used up.
        while budgets.admit(client(0)).is_ok() {}
        for n in 1..u32::try_from(ENTRIES).unwrap() {
            budgets.admit(client(n)).unwrap();
        }
        assert_eq!(budgets.0.lock().len(), ENTRIES);
        assert_eq!(budgets.admit(client(u32::MAX)).unwrap_err().of, "the relay");
        assert_eq!(budgets.admit(client(0)).unwrap_err().of, "the client");
        // The others have been refilled.
        advance(Duration::from_secs(1)).await;
        budgets.admit(client(u32::MAX)).unwrap();
        assert!(budgets.0.lock().len() < 10);
        budgets.admit(client(0)).unwrap();
        assert_eq!(budgets.admit(client(0)).unwrap_err().of, "the client");
    }
}
