//! Names and the keys that they belong to.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh::{Config, Keys, LinkId, Mesh, Own, Peer};
use sdk_relay_mesh_sim::SimulatedKeys;
use sdk_relay_protocol::mesh::{Gossip, Have, RelayEntry, RelayId, RelayStatus};

use crate::peers::{ROUND, dials, entry, id, link, mesh, send};

#[test]
fn a_name_stays_with_its_key() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    send(&mut mesh, ROUND, 1, vec![entry(2, 1, 1, 2)]);
    send(&mut mesh, ROUND, 1, vec![entry(2, 9, 9, 3)]);
    let known = mesh.relay(ROUND, "relay-2").unwrap();
    assert_eq!(known.entry.public_key, SimulatedKeys::new(2).public_key());
    // Nor can a link use the name.
    let thief = Peer {
        relay_id: id(2),
        public_key: SimulatedKeys::new(3).public_key(),
        dial: None,
        latency: Duration::ZERO,
    };
    mesh.link_up(ROUND, LinkId(2), thief);
    assert!(mesh.relay(ROUND, "relay-2").unwrap().link.is_none());
}

#[test]
fn the_name_of_a_linked_relay_is_protected_before_its_entry_arrives() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    link(&mut mesh, ROUND, 2, 2);
    send(&mut mesh, ROUND, 1, vec![entry(2, 9, 9, 1)]);
    assert!(mesh.relay(ROUND, "relay-2").is_none());
    send(&mut mesh, ROUND, 2, vec![entry(2, 1, 1, 2)]);
    let known = mesh.relay(ROUND, "relay-2").unwrap();
    assert_eq!(known.entry.public_key, SimulatedKeys::new(2).public_key());
}

#[test]
fn a_claiming_entry_replaces_one_whose_owner_does_not_answer() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    link(&mut mesh, ROUND, 3, 3);
    send(&mut mesh, ROUND, 1, vec![entry(2, 9, 9, 1)]);
    send(&mut mesh, ROUND, 3, vec![entry(2, 1, 1, 2)]);
    let key = |mesh: &Mesh<_>| mesh.relay(ROUND, "relay-2").unwrap().entry.public_key.clone();
    assert_eq!(key(&mesh), SimulatedKeys::new(1).public_key());
    let dial = dials(&mut mesh).into_iter().find(|(_, name)| *name == id(2));
    mesh.dial_failed(ROUND, dial.unwrap().0);
    assert_eq!(key(&mesh), SimulatedKeys::new(2).public_key());
}

/// Keys with a name that was bound in an earlier run.
struct Bound(SimulatedKeys, RelayId, String);

impl Keys for Bound {
    fn public_key(&self) -> String {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8]) -> String {
        self.0.sign(message)
    }

    fn verify(&self, public_key: &str, message: &[u8], signature: &str) -> bool {
        self.0.verify(public_key, message, signature)
    }

    fn bound_key(&self, relay_id: &RelayId) -> Option<String> {
        (*relay_id == self.1).then(|| self.2.clone())
    }
}

#[test]
fn a_bound_name_belongs_to_its_key_after_a_restart() {
    let keys = Bound(SimulatedKeys::new(0), id(2), SimulatedKeys::new(2).public_key());
    let own = Own {
        relay_id: id(0),
        address: "relay-0.example.com:8090".to_owned(),
        incarnation: 10,
        status: RelayStatus::Healthy,
        software_version: "0.1.0".to_owned(),
        capabilities: Vec::new(),
        started: 10,
    };
    let mut mesh = Mesh::new(Config::default(), own, keys, 1, Duration::ZERO);
    let up = |mesh: &mut Mesh<Bound>, at: u64, name: u64, key: u64| {
        let peer = Peer {
            relay_id: id(name),
            public_key: SimulatedKeys::new(key).public_key(),
            dial: None,
            latency: Duration::ZERO,
        };
        mesh.link_up(ROUND, LinkId(at), peer);
        mesh.is_up(LinkId(at))
    };
    let send = |mesh: &mut Mesh<Bound>, at: u64, entry: Arc<RelayEntry>| {
        let announced = Gossip {
            batch: 1,
            have: vec![Have(entry.relay_id.clone(), entry.incarnation, entry.version, 0)],
            ..Gossip::default()
        };
        mesh.request(ROUND, LinkId(at), Box::new(announced));
        let entries = Gossip {
            entries: vec![entry],
            ..Gossip::default()
        };
        mesh.request(ROUND, LinkId(at), Box::new(entries));
    };
    assert!(up(&mut mesh, 1, 1, 1));
    send(&mut mesh, 1, entry(2, 9, 9, 1));
    assert!(mesh.relay(ROUND, "relay-2").is_none(), "signed with another key");
    assert!(!up(&mut mesh, 2, 2, 1), "nor can a link use it");
    assert!(up(&mut mesh, 3, 2, 2));
    send(&mut mesh, 3, entry(2, 1, 1, 2));
    let known = mesh.relay(ROUND, "relay-2").unwrap();
    assert_eq!(known.entry.public_key, SimulatedKeys::new(2).public_key());
    assert_eq!(known.link, Some(LinkId(3)));
}

#[test]
fn a_connecting_claimant_gets_a_hearsay_name_whose_owner_does_not_answer() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    send(&mut mesh, ROUND, 1, vec![entry(2, 9, 9, 1)]);
    let claim = |mesh: &mut Mesh<SimulatedKeys>, at: u64| {
        link(mesh, ROUND, at, 2);
        mesh.is_up(LinkId(at))
    };
    assert!(!claim(&mut mesh, 2), "the other key is dialled first");
    let dial = dials(&mut mesh).into_iter().find(|(_, name)| *name == id(2));
    mesh.dial_failed(ROUND, dial.unwrap().0);
    assert!(claim(&mut mesh, 3));
    send(&mut mesh, ROUND, 3, vec![entry(2, 1, 1, 2)]);
    let known = mesh.relay(ROUND, "relay-2").unwrap();
    assert_eq!(known.entry.public_key, SimulatedKeys::new(2).public_key());
    // From now on it is known first hand: hearsay changes nothing, and no other link gets the name.
    send(&mut mesh, ROUND, 1, vec![entry(2, 99, 9, 1)]);
    assert_eq!(mesh.relay(ROUND, "relay-2").unwrap().entry, known.entry);
    assert_eq!(mesh.proven_key("relay-2"), Some(known.entry.public_key.as_str()));
}
