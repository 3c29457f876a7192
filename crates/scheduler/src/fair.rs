//! Deficit round robin over cost, on two levels: addresses share equally, and so do the connections of one address.
//!
//! In each round an address receives a quantum of cost. It is served while its deficit counter is positive, and charged
//! afterwards, so that the cost need not be known in advance: a debt is reduced by the following rounds, also while the
//! address has no work.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;

use super::Owner;

/// Largest debt, in quanta, with which an owner may share the pieces of others.
const MAX_CO_SCHEDULED_DEBT: i64 = 4;

/// Selects the owner to serve next.
#[derive(Debug)]
pub struct Fair {
    addresses: Ring<IpAddr>,
    owners: HashMap<IpAddr, Ring<Owner>>,
    quantum: i64,
}

impl Fair {
    /// A scheduler with this quantum per round for each address, and for each owner of an address.
    pub fn new(quantum: u64) -> Self {
        Self {
            addresses: Ring::default(),
            owners: HashMap::new(),
            quantum: i64::try_from(quantum).unwrap_or(i64::MAX).max(1),
        }
    }

    /// Marks an owner as having work. Idempotent.
    pub fn enter(&mut self, address: IpAddr, owner: Owner) {
        self.owners.entry(address).or_default().enter(owner);
        self.addresses.enter(address);
    }

    /// Marks an owner as idle. Its debt is kept.
    pub fn set_idle(&mut self, address: IpAddr, owner: Owner) {
        if let Some(owners) = self.owners.get_mut(&address) {
            owners.set_idle(owner);
        }
    }

    /// The owner to serve; the same until it is charged, becomes idle, or its deficit is used up.
    pub fn pick(&mut self) -> Option<Owner> {
        loop {
            let address = self.addresses.pick(self.quantum)?;
            let owners = self.owners.get_mut(&address)?;
            if let Some(owner) = owners.pick(self.quantum) {
                return Some(owner);
            }
            self.owners.remove(&address);
            self.addresses.set_idle(address);
        }
    }

    /// Up to `most` other ready owners without a large debt, in the order of their turns: those that wait for the same
    /// rows may share a piece.
    pub fn co_scheduled(&self, most: usize) -> Vec<Owner> {
        let least = -MAX_CO_SCHEDULED_DEBT * self.quantum;
        let addresses = self
            .addresses
            .ready(least)
            .filter_map(|address| self.owners.get(&address));
        addresses.flat_map(|owners| owners.ready(least)).take(most).collect()
    }

    /// Charges this owner for its work.
    pub fn charge(&mut self, address: IpAddr, owner: Owner, cost: u64) {
        let cost = i64::try_from(cost).unwrap_or(i64::MAX);
        self.addresses.charge(address, cost);
        if let Some(owners) = self.owners.get_mut(&address) {
            owners.charge(owner, cost);
        }
    }
}

/// One level: a ring of keys.
#[derive(Debug)]
struct Ring<K> {
    order: VecDeque<K>,
    states: HashMap<K, State>,
}

impl<K> Default for Ring<K> {
    fn default() -> Self {
        Self {
            order: VecDeque::new(),
            states: HashMap::new(),
        }
    }
}

/// State of a key in the ring.
#[derive(Debug)]
struct State {
    deficit: i64,
    is_ready: bool,
}

impl<K: Copy + Eq + Hash> Ring<K> {
    fn enter(&mut self, key: K) {
        let order = &mut self.order;
        let state = self.states.entry(key).or_insert_with(|| {
            order.push_back(key);
            State {
                deficit: 0,
                is_ready: false,
            }
        });
        state.is_ready = true;
    }

    fn set_idle(&mut self, key: K) {
        if let Some(state) = self.states.get_mut(&key) {
            state.is_ready = false;
        }
    }

    fn charge(&mut self, key: K, cost: i64) {
        if let Some(state) = self.states.get_mut(&key) {
            state.deficit = state.deficit.saturating_sub(cost);
        }
    }

    fn ready(&self, least: i64) -> impl Iterator<Item = K> + '_ {
        let is_ready = move |key: &&K| {
            let state = self.states.get(key);
            state.is_some_and(|state| state.is_ready && state.deficit > least)
        };
        self.order.iter().filter(is_ready).copied()
    }

    /// The first ready key with a positive deficit. An owner that is idle and has no debt leaves the ring.
    fn pick(&mut self, quantum: i64) -> Option<K> {
        loop {
            let key = *self.order.front()?;
            let state = self.states.get_mut(&key)?;
            if state.is_ready && state.deficit > 0 {
                return Some(key);
            }
            self.order.pop_front();
            if state.is_ready || state.deficit < 0 {
                state.deficit = state.deficit.saturating_add(quantum);
                self.order.push_back(key);
            } else {
                self.states.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const QUANTUM: u64 = 100;

    fn address(n: u8) -> IpAddr {
        [192, 0, 2, n].into()
    }

    /// Serves `rounds` pieces and returns the total charge of each address.
    fn serve(fair: &mut Fair, of: &[(u8, Owner, u64)], rounds: usize) -> BTreeMap<u8, u64> {
        let mut served = BTreeMap::new();
        for (at, owner, _) in of {
            fair.enter(address(*at), *owner);
        }
        for _ in 0..rounds {
            let owner = fair.pick().expect("all owners have work");
            let (at, _, cost) = of.iter().find(|(_, o, _)| *o == owner).expect("one of these");
            fair.charge(address(*at), owner, *cost);
            *served.entry(*at).or_default() += cost;
        }
        served
    }

    proptest! {
        #[test]
        fn addresses_share_equally_whatever_their_number_of_connections_and_the_size_of_their_work(
            connections in proptest::collection::vec((1_u64..30, 1_u64..400), 2..6),
        ) {
            let of: Vec<(u8, Owner, u64)> = (0_u8..)
                .zip(&connections)
                .flat_map(|(at, (count, cost))| (0..*count).map(move |n| (at, u64::from(at) * 1_000 + n, *cost)))
                .collect();
            let served = serve(&mut Fair::new(QUANTUM), &of, 2_000);
            let least = served.values().min().expect("some");
            let most = served.values().max().expect("some");
            prop_assert_eq!(served.len(), connections.len());
            // No address is ahead by more than a quantum and the largest piece.
            prop_assert!(most - least <= 2 * (QUANTUM + 400), "{:?}", served);
        }
    }

    #[test]
    fn connections_of_one_address_share_equally() {
        let mut fair = Fair::new(QUANTUM);
        fair.enter(address(1), 1);
        fair.enter(address(1), 2);
        let mut served = [0_u64; 3];
        for _ in 0..1_000 {
            let owner = fair.pick().expect("one of two");
            let cost = if owner == 1 { 300 } else { 7 };
            fair.charge(address(1), owner, cost);
            served[usize::try_from(owner).expect("small")] += cost;
        }
        assert!(served[1].abs_diff(served[2]) <= 2 * (QUANTUM + 300), "{served:?}");
    }

    #[test]
    fn a_debt_is_kept_while_its_owner_is_idle() {
        let mut fair = Fair::new(QUANTUM);
        fair.enter(address(1), 1);
        fair.enter(address(2), 2);
        assert_eq!(fair.pick(), Some(1));
        fair.charge(address(1), 1, 10 * QUANTUM);
        fair.set_idle(address(1), 1);
        let mut of_two = 0;
        for _ in 0..5 {
            assert_eq!(fair.pick(), Some(2));
            fair.charge(address(2), 2, QUANTUM);
            of_two += 1;
        }
        fair.enter(address(1), 1);
        while fair.pick() == Some(2) {
            fair.charge(address(2), 2, QUANTUM);
            of_two += 1;
        }
        assert!(
            (9..=11).contains(&of_two),
            "{of_two} pieces until the debt of ten was paid"
        );
    }

    #[test]
    fn an_owner_with_a_large_debt_is_not_co_scheduled() {
        let mut fair = Fair::new(QUANTUM);
        for (at, owner) in [(1, 1), (2, 2)] {
            fair.enter(address(at), owner);
        }
        assert_eq!(fair.pick(), Some(1));
        let debt = MAX_CO_SCHEDULED_DEBT.unsigned_abs() * QUANTUM;
        fair.charge(address(2), 2, debt - 1);
        assert_eq!(fair.co_scheduled(10), [1, 2]);
        fair.charge(address(2), 2, QUANTUM + 1);
        assert_eq!(fair.co_scheduled(10), [1]);
    }

    #[test]
    fn an_owner_that_left_leaves_no_state() {
        let mut fair = Fair::new(QUANTUM);
        for owner in 0..100 {
            fair.enter(address(1), owner);
            fair.charge(address(1), owner, 5 * QUANTUM);
            fair.set_idle(address(1), owner);
        }
        assert_eq!(fair.pick(), None);
        assert!(fair.addresses.states.is_empty() && fair.addresses.order.is_empty());
        assert!(fair.owners.is_empty());
    }
}
