//! What the tests send to one state machine as its peers.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh::keys::{accusation_bytes, entry_bytes};
use sdk_relay_mesh::{Config, DialId, Keys, LinkId, Mesh, Output, Peer};
use sdk_relay_mesh_sim::{SimulatedKeys, lone};
use sdk_relay_protocol::mesh::{Accusation, Gossip, Have, RelayEntry, RelayId, RelayStatus};

/// The default interval.
pub(crate) const ROUND: Duration = Duration::from_secs(30);

/// A dial that is not answered fails after this time.
pub(crate) const NO_ANSWER: Duration = Duration::from_secs(10);

pub(crate) fn id(n: u64) -> RelayId {
    RelayId::new(&format!("relay-{n}")).unwrap()
}

/// The relay with this number, authenticated with its own key.
pub(crate) fn peer(n: u64, dial: Option<DialId>) -> Peer {
    Peer {
        relay_id: id(n),
        public_key: SimulatedKeys::new(n).public_key(),
        dial,
        latency: Duration::from_millis(20),
    }
}

/// The entry of the relay with this number, signed with this key.
pub(crate) fn entry(n: u64, incarnation: u64, version: u64, key: u64) -> Arc<RelayEntry> {
    let entry = RelayEntry {
        relay_id: id(n),
        public_key: String::new(),
        address: format!("relay-{n}.example.com:8090"),
        incarnation,
        version,
        status: RelayStatus::Healthy,
        software_version: "0.1.0".to_owned(),
        capabilities: Vec::new(),
        started: 0,
        signature: String::new(),
    };
    signed(entry, key)
}

/// The entry with this key and its signature.
pub(crate) fn signed(mut entry: RelayEntry, key: u64) -> Arc<RelayEntry> {
    let keys = SimulatedKeys::new(key);
    entry.public_key = keys.public_key();
    entry.signature = keys.sign(&entry_bytes(&entry));
    Arc::new(entry)
}

/// An accusation of this version of a relay, signed with key `by` under the name `accuser`.
pub(crate) fn accusation(of: &RelayEntry, accuser: RelayId, by: u64) -> Arc<Accusation> {
    let mut accusation = Accusation {
        relay_id: of.relay_id.clone(),
        incarnation: of.incarnation,
        version: of.version,
        by: accuser,
        signature: String::new(),
    };
    accusation.signature = SimulatedKeys::new(by).sign(&accusation_bytes(&accusation));
    Arc::new(accusation)
}

/// A peer announces these entries in this batch at these distances, and sends them.
pub(crate) fn announce_and_send<K: Keys>(
    mesh: &mut Mesh<K>,
    now: Duration,
    over: u64,
    batch: u64,
    distances: Vec<u8>,
    entries: Vec<Arc<RelayEntry>>,
) {
    let announced = Gossip {
        batch,
        have: entries
            .iter()
            .map(|e| Have(e.relay_id.clone(), e.incarnation, e.version, 0))
            .collect(),
        distances,
        ..Gossip::default()
    };
    mesh.request(now, LinkId(over), Box::new(announced));
    let sent = Gossip {
        entries,
        ..Gossip::default()
    };
    mesh.request(now, LinkId(over), Box::new(sent));
}

/// New dials of learned addresses, in their order, and the relays that they are for.
pub(crate) fn dials<K: Keys>(mesh: &mut Mesh<K>) -> Vec<(DialId, RelayId)> {
    let outputs = std::iter::from_fn(|| mesh.poll());
    outputs
        .filter_map(|output| match output {
            Output::Dial { dial, expect, .. } => Some((dial, expect?.0)),
            _ => None,
        })
        .collect()
}

/// The state machine under test, with the default configuration.
pub(crate) fn mesh() -> Mesh<SimulatedKeys> {
    lone(Config::default())
}

/// The relay with this number dials this link.
pub(crate) fn link(mesh: &mut Mesh<SimulatedKeys>, now: Duration, link: u64, n: u64) {
    mesh.link_up(now, LinkId(link), peer(n, None));
}

/// A peer announces these entries without distances, and sends them.
pub(crate) fn send(mesh: &mut Mesh<SimulatedKeys>, now: Duration, over: u64, entries: Vec<Arc<RelayEntry>>) {
    announce_and_send(mesh, now, over, 1, Vec::new(), entries);
}

/// An accusation by the relay with this number.
pub(crate) fn accusation_by(of: &RelayEntry, by: u64) -> Arc<Accusation> {
    accusation(of, id(by), by)
}
