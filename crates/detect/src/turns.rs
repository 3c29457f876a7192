//! Whose turn it is: addresses, and the connections of one address, take turns by the cost of their work ([`Fair`]).

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use sdk_relay_scheduler::{Fair, Owner};

/// Selects the owner of the next turn.
pub(super) struct Turns {
    fair: Fair,
    /// Owners with work at the last check.
    ready: HashMap<Owner, IpAddr>,
    addresses: usize,
}

impl Turns {
    /// `quantum`: the cost that an owner may cause in a round.
    pub(super) fn new(quantum: u64) -> Self {
        Self {
            fair: Fair::new(quantum),
            ready: HashMap::new(),
            addresses: 0,
        }
    }

    /// The owner of the next turn, among those that have work now.
    pub(super) fn next(&mut self, ready: impl Iterator<Item = (Owner, IpAddr)>) -> Option<Owner> {
        let now: HashMap<Owner, IpAddr> = ready.collect();
        for (owner, address) in self.ready.iter().filter(|(owner, _)| !now.contains_key(owner)) {
            self.fair.set_idle(*address, *owner);
        }
        for (owner, address) in &now {
            self.fair.enter(*address, *owner);
        }
        self.addresses = now.values().collect::<HashSet<_>>().len();
        self.ready = now;
        self.fair.pick()
    }

    /// Addresses that have work.
    pub(super) fn addresses(&self) -> usize {
        self.addresses
    }

    /// The owners that may share the turns of others: except those with a large debt, because they would lengthen the
    /// turns of owners with priority.
    pub(super) fn co_scheduled(&self) -> HashSet<Owner> {
        self.fair.co_scheduled(usize::MAX).into_iter().collect()
    }

    /// Charges an owner that had work at the last check.
    pub(super) fn charge(&mut self, owner: Owner, cost: u64) {
        if let Some(address) = self.ready.get(&owner) {
            self.fair.charge(*address, owner, cost);
        }
    }
}
