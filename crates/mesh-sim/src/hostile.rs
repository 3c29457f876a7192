//! Hostile relays: they authenticate like all others, and attack the mesh over their links.

use std::sync::Arc;

use sdk_relay_protocol::http::RelayHealth;
use sdk_relay_protocol::mesh::{Accusation, Gossip, Have, Heard, RelayEntry, RelayId, RelayStatus};

use sdk_relay_mesh::Keys;
use sdk_relay_mesh::keys::{accusation_bytes, entry_bytes};
use sdk_relay_mesh::limits::BUCKETS;

use crate::hostility::Hostility;
use crate::keys::SimulatedKeys;
use crate::simulation::{Simulation, address, name};

/// Relays that one hostile relay invents.
const INVENTED: u64 = 1000;
/// Announcements, entries or accusations added to a message.
const AT_A_TIME: u64 = 256;

impl Simulation {
    /// The relay is hostile from now on.
    pub fn make_hostile(&mut self, n: usize, hostility: Hostility) {
        if let Some(relay) = self.relays.get_mut(n) {
            relay.hostility = Some(hostility);
        }
    }

    /// All honest relays know each other under the right keys.
    pub fn honest_know_each_other(&self) -> bool {
        self.misclassified_by_honest(|_| false).is_none()
    }

    /// All honest relays list each other, under the right keys, as healthy.
    pub fn honest_see_each_other_healthy(&self) -> bool {
        self.misclassified_by_honest(|health| health != RelayHealth::Healthy)
            .is_none()
    }

    /// An honest relay to which another one is unknown or in a `wrong` health: its name, and the other's.
    pub fn misclassified_by_honest(&self, wrong: impl Fn(RelayHealth) -> bool) -> Option<(RelayId, RelayId)> {
        let honest = || {
            self.relays
                .iter()
                .filter(|relay| relay.alive && relay.hostility.is_none())
        };
        let pairs = honest().flat_map(|relay| honest().map(move |other| (relay, other.mesh.own())));
        let mut misclassified = pairs.filter(|(relay, own)| {
            let view = relay.mesh.relay(self.local(relay), own.relay_id.as_str());
            view.is_none_or(|view| view.entry.public_key != own.public_key || wrong(view.health))
        });
        let (relay, own) = misclassified.next()?;
        Some((relay.mesh.own().relay_id.clone(), own.relay_id.clone()))
    }

    /// What a relay sends instead of this gossip, including answers to what was requested; `None`: nothing.
    pub(crate) fn corrupt(&mut self, n: usize, mut gossip: Gossip, want: &[RelayId]) -> Option<Gossip> {
        let Some((hostility, corrupted)) = self.relays.get_mut(n).and_then(|relay| {
            relay.corrupted += 1;
            Some((relay.hostility?, relay.corrupted))
        }) else {
            return Some(gossip);
        };
        match hostility {
            Hostility::Invents => {
                let first = corrupted * AT_A_TIME;
                announce(
                    &mut gossip,
                    (first..first + AT_A_TIME).map(|k| invented(n, k % INVENTED)),
                );
                let wanted = want
                    .iter()
                    .filter_map(|name| name.as_str().strip_prefix(&format!("fake-{n}-"))?.parse().ok());
                gossip.entries.extend(wanted.map(|k| invented(n, k)));
            }
            Hostility::Squats => {
                // The names that it knows.
                let relay = self.relays.get(n)?;
                let views = relay.mesh.relays(self.local(relay));
                let others = views
                    .iter()
                    .skip(1)
                    .map(|view| squatted(n, view.entry.relay_id.as_str()));
                announce(&mut gossip, others.take(AT_A_TIME as usize));
                gossip.entries.retain(|entry| !want.contains(&entry.relay_id));
                gossip
                    .entries
                    .extend(want.iter().map(|name| squatted(n, name.as_str())));
            }
            Hostility::Accuses => {
                let relay = self.relays.get(n)?;
                let views = relay.mesh.relays(self.local(relay)).into_iter();
                let others = views.filter(|view| view.entry.relay_id != relay.mesh.own().relay_id);
                let by = &relay.mesh.own().relay_id;
                gossip.accusations = others
                    .take(AT_A_TIME as usize)
                    .map(|view| accusation(n, by, &view.entry))
                    .collect();
            }
            Hostility::Mute => return None,
            Hostility::Lies => {
                gossip.digest = self.random.next();
                gossip.buckets = (0..BUCKETS).map(|_| self.random.next()).collect();
                gossip.links = (self.random.next() % 3) as u16;
                gossip.relays = self.random.next() as u16;
                gossip.ack = u64::MAX;
                gossip.entries.clear();
                gossip.distances = vec![0; gossip.have.len()];
                let any = self.random.below(self.relays.len());
                gossip.heard = RelayId::new(&name(any))
                    .map(|name| Heard(name, 0))
                    .into_iter()
                    .collect();
            }
        }
        Some(gossip)
    }
}

fn announce(gossip: &mut Gossip, entries: impl Iterator<Item = Arc<RelayEntry>>) {
    gossip.have = entries
        .take(AT_A_TIME as usize)
        .map(|entry| Have(entry.relay_id.clone(), entry.incarnation, entry.version, 0))
        .collect();
    // As near as an announced relay can be, and one farther: it can introduce few as its own links.
    gossip.distances = (0..gossip.have.len()).map(|n| 1 + (n % 2) as u8).collect();
    // Its batches are never in sequence: none is acknowledged, and all are processed.
    gossip.batch = u64::MAX;
}

fn invented(by: usize, k: u64) -> Arc<RelayEntry> {
    let name = format!("fake-{by}-{k}");
    signed(
        &SimulatedKeys::new(1_000_000 + by as u64 * INVENTED + k),
        &name,
        format!("{name}.example.com:8090"),
        1_700_000_000,
    )
}

fn squatted(by: usize, name: &str) -> Arc<RelayEntry> {
    signed(&SimulatedKeys::new(by as u64), name, address(by), 1_800_000_000)
}

fn signed(keys: &SimulatedKeys, name: &str, address: String, incarnation: u64) -> Arc<RelayEntry> {
    let mut entry = RelayEntry {
        relay_id: RelayId::new(name).unwrap_or_else(|_| unreachable!("a short name")),
        public_key: keys.public_key(),
        address,
        incarnation,
        version: 1,
        status: RelayStatus::Healthy,
        software_version: "0.1.0".to_owned(),
        capabilities: Vec::new(),
        started: u64::MAX,
        signature: String::new(),
    };
    entry.signature = keys.sign(&entry_bytes(&entry));
    Arc::new(entry)
}

fn accusation(n: usize, by: &RelayId, of: &RelayEntry) -> Arc<Accusation> {
    let mut accusation = Accusation {
        relay_id: of.relay_id.clone(),
        incarnation: of.incarnation,
        version: of.version,
        by: by.clone(),
        signature: String::new(),
    };
    accusation.signature = SimulatedKeys::new(n as u64).sign(&accusation_bytes(&accusation));
    Arc::new(accusation)
}
