//! Relays that are connected to this one, and what each of them told of itself.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use sdk_relay_protocol::{RelayConnected, Sync};

use super::facts::Facts;
use crate::clock::unix_now;

/// Comings and goings of relays that are told and logged, at once and then per interval. Relays are few and stay; without a bound anybody
/// could push every other event out of the log by connecting again and again.
const TOLD_AT_ONCE: u32 = 20;
const TOLD_EVERY: Duration = Duration::from_secs(30);
/// What is kept of a relay's capabilities: this many, of this many bytes each. This version of the API has six, of 13 bytes at most.
const CAPABILITIES: usize = 32;
const CAPABILITY_BYTES: usize = 32;
/// Longest version that is kept, in bytes; longer ones are cut.
const VERSION_BYTES: usize = 32;

/// Relays that are connected, by connection.
#[derive(Debug)]
pub struct Relays {
    own: String,
    connected: Mutex<HashMap<u64, Inbound>>,
    told: Option<DefaultDirectRateLimiter>,
    warned: DefaultDirectRateLimiter,
}

/// A relay that connected to this one.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    /// The name that it gave.
    pub relay_id: String,
    /// Where it can be reached, as it said; else where it came from.
    pub address: String,
    /// API version that it speaks.
    pub version: String,
    /// Those of its handshake.
    pub capabilities: Vec<String>,
    /// Unix second of its last message.
    pub last_seen: u64,
    /// What its syncs told.
    pub facts: Facts,
}

/// Whether a text can name a relay.
pub fn is_relay_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

impl Relays {
    /// As seen by the relay of this name.
    pub fn new(own: &str) -> Self {
        let quota = Quota::with_period(TOLD_EVERY)
            .map(|q| q.allow_burst(std::num::NonZeroU32::new(TOLD_AT_ONCE).unwrap_or(std::num::NonZeroU32::MIN)));
        Self {
            own: own.to_owned(),
            connected: Mutex::default(),
            told: quota.map(RateLimiter::direct),
            warned: RateLimiter::direct(Quota::per_minute(std::num::NonZeroU32::MIN)),
        }
    }

    /// A relay connected. False when too many have come and gone lately for this one to be told.
    pub fn joined(&self, connection: u64, relay: &RelayConnected) -> bool {
        let inbound = Inbound {
            relay_id: relay.relay_id.clone(),
            address: relay.address.clone(),
            version: relay.version.chars().take(VERSION_BYTES).collect(),
            capabilities: relay
                .capabilities
                .iter()
                .filter(|c| c.len() <= CAPABILITY_BYTES)
                .take(CAPABILITIES)
                .cloned()
                .collect(),
            last_seen: unix_now(),
            facts: Facts::default(),
        };
        self.lock().insert(connection, inbound);
        self.may_tell()
    }

    /// Whether another relay's coming may be told now.
    pub fn may_tell(&self) -> bool {
        let told = self.told.as_ref().is_none_or(|t| t.check().is_ok());
        if !told && self.warned.check().is_ok() {
            tracing::warn!("relays connect too often: their coming and going is not told for a while");
        }
        told
    }

    /// It sent something.
    pub fn seen(&self, connection: u64) {
        if let Some(inbound) = self.lock().get_mut(&connection) {
            inbound.last_seen = unix_now();
        }
    }

    /// It sent a sync; of a connection that is no relay's nothing is kept.
    pub fn told(&self, connection: u64, sync: &Sync) {
        if let Some(inbound) = self.lock().get_mut(&connection) {
            inbound.facts.learn(sync);
        }
    }

    /// Its connection ended.
    pub fn gone(&self, connection: u64) {
        self.lock().remove(&connection);
    }

    /// Links to other relays now.
    pub fn links(&self) -> u64 {
        self.lock().len() as u64
    }

    /// Relays known, this one included.
    pub fn known(&self) -> u64 {
        let connected = self.lock();
        let names = connected.values().map(|i| i.relay_id.as_str());
        names.filter(|name| *name != self.own).collect::<HashSet<_>>().len() as u64 + 1
    }

    /// The other relays by name; of several connections with the same name the newest counts. Who takes this relay's own name is left out:
    /// it is this relay itself, or no better.
    pub fn inbound(&self) -> Vec<Inbound> {
        let connected = self.lock();
        let mut named: BTreeMap<&str, (u64, &Inbound)> = BTreeMap::new();
        for (connection, inbound) in connected.iter().filter(|(_, i)| i.relay_id != self.own) {
            let newest = named.entry(&inbound.relay_id).or_insert((*connection, inbound));
            if *connection > newest.0 {
                *newest = (*connection, inbound);
            }
        }
        named.into_values().map(|(_, inbound)| inbound.clone()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Inbound>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(relay_id: &str, address: &str) -> RelayConnected {
        RelayConnected {
            relay_id: relay_id.to_owned(),
            address: address.to_owned(),
            version: format!("1.0.0-{}", "x".repeat(1000)),
            capabilities: (0..1000).map(|n| n.to_string()).chain(["y".repeat(1000)]).collect(),
            timestamp: 0,
            connection_id: String::new(),
        }
    }

    #[test]
    fn by_name_the_newest_and_never_oneself() {
        let relays = Relays::new("relay-1");
        for (connection, name, address) in [(1, "c", "old"), (2, "relay-1", "me"), (3, "b", "b"), (4, "c", "new")] {
            relays.joined(connection, &relay(name, address));
        }
        let named =
            |relays: &Relays| -> Vec<_> { relays.inbound().into_iter().map(|i| (i.relay_id, i.address)).collect() };
        let pair = |name: &str, address: &str| (name.to_owned(), address.to_owned());
        assert_eq!(named(&relays), [pair("b", "b"), pair("c", "new")]);
        assert_eq!((relays.known(), relays.links()), (3, 4));
        relays.gone(4);
        assert_eq!(named(&relays), [pair("b", "b"), pair("c", "old")]);
    }

    #[test]
    fn what_a_handshake_leaves_is_bounded() {
        let relays = Relays::new("relay-1");
        relays.joined(1, &relay("a", "a"));
        let kept = relays.inbound().remove(0);
        assert_eq!(
            (kept.capabilities.len(), kept.version.len()),
            (CAPABILITIES, VERSION_BYTES)
        );
    }
}
