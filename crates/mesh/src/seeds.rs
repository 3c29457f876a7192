//! Configured addresses: dialled first, and redialled while they have no link.

use std::time::Duration;

use sdk_relay_protocol::mesh::RelayId;

use crate::Mesh;
use crate::keys::Keys;
use crate::pending_dial::{Cause, PendingDial};
use crate::seed::Seed;

/// Intervals for which a full relay is not dialled.
const FULL_FOR: u32 = 8;

impl<K: Keys> Mesh<K> {
    pub(crate) fn seed_connected(&mut self, now: Duration, dialling: &PendingDial, relay: &RelayId) {
        let looked = now + self.random.jittered(self.config.interval * FULL_FOR);
        if let Some(seed) = dialling.seed.and_then(|n| self.seeds.get_mut(n)) {
            seed.relay = Some(relay.clone());
            seed.failures = 0;
            seed.after = if dialling.probe { looked } else { seed.after };
        }
    }

    /// Configured relays without a link whose last two dials failed.
    pub fn unreached_seeds(&self) -> impl Iterator<Item = &str> {
        let linked = |relay: &RelayId| *relay == self.own_id || self.links.values().any(|link| link.peer == *relay);
        let unreached = move |seed: &&Seed| seed.failures > 1 && !seed.relay.as_ref().is_some_and(linked);
        self.seeds.iter().filter(unreached).map(|seed| seed.address.as_str())
    }

    pub(crate) fn is_seed(&self, relay: &RelayId) -> bool {
        self.seeds.iter().any(|seed| seed.relay.as_ref() == Some(relay))
    }

    /// The relay is full: it is not dialled for a while.
    pub(crate) fn back_off_full(&mut self, now: Duration, relay: &RelayId) {
        let pause = self.random.jittered(self.config.interval * FULL_FOR);
        let of_it = self.seeds.iter_mut().filter(|seed| seed.relay.as_ref() == Some(relay));
        of_it.for_each(|seed| seed.after = now + pause);
        if let Some(row) = self.table.find_mut(relay.as_str()) {
            row.local().dial_after = now + pause;
        }
    }

    pub(crate) fn can_dial_seed(&self, now: Duration, n: usize) -> bool {
        let Some(seed) = self.seeds.get(n) else { return false };
        let linked = seed
            .relay
            .as_ref()
            .is_some_and(|relay| relay == &self.own_id || self.links.values().any(|link| link.peer == *relay));
        let dialling = self.dials.values().any(|dialling| dialling.seed == Some(n));
        !linked && !dialling && seed.after <= now
    }

    pub(crate) fn dial_seed(&mut self, now: Duration, n: usize, probe: bool) -> bool {
        let Some(seed) = self.seeds.get(n).filter(|_| self.can_dial_seed(now, n)) else {
            return false;
        };
        let (address, relay) = (seed.address.clone(), seed.relay.clone());
        self.dial(
            address,
            None,
            PendingDial {
                seed: Some(n),
                relay,
                key: None,
                probe,
                bootstrap: !probe,
                introducer: None,
                cause: Cause::Any,
                since: now,
            },
        )
    }
}
