//! Whatever a peer sends: no panic, no growth beyond the limits, no falsified state of others.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sdk_relay_mesh::keys::{accusation_bytes, entry_bytes};
use sdk_relay_mesh::limits::{
    INTRODUCED_AT_FIRST, MAX_DIALS, MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_HAVE, MAX_INTRODUCED, MAX_NEAR, MAX_PASSING,
    MAX_RELAYS,
};
use sdk_relay_mesh::{Config, DialId, Keys, LinkId, Mesh, Output, Own, Peer, Token};
use sdk_relay_mesh_sim::{SimulatedKeys, lone};
use sdk_relay_protocol::http::RelayHealth;
use sdk_relay_protocol::mesh::{Accusation, Gossip, Have, Heard, RelayEntry, RelayId, RelayStatus};

const ROUND: Duration = Duration::from_secs(30);

fn id(n: u64) -> RelayId {
    RelayId::new(&format!("relay-{n}")).unwrap()
}

fn mesh() -> Mesh<SimulatedKeys> {
    lone(Config::default())
}

fn entry(n: u64, incarnation: u64, version: u64, key: u64) -> Arc<RelayEntry> {
    let keys = SimulatedKeys::new(key);
    let mut entry = RelayEntry {
        relay_id: id(n),
        public_key: keys.public_key(),
        address: format!("relay-{n}.example.com:8090"),
        incarnation,
        version,
        status: RelayStatus::Healthy,
        software_version: "0.1.0".to_owned(),
        capabilities: Vec::new(),
        started: 0,
        signature: String::new(),
    };
    entry.signature = keys.sign(&entry_bytes(&entry));
    Arc::new(entry)
}

fn accusation(of: &RelayEntry, by: u64) -> Arc<Accusation> {
    let mut accusation = Accusation {
        relay_id: of.relay_id.clone(),
        incarnation: of.incarnation,
        version: of.version,
        by: id(by),
        signature: String::new(),
    };
    accusation.signature = SimulatedKeys::new(by).sign(&accusation_bytes(&accusation));
    Arc::new(accusation)
}

fn link(mesh: &mut Mesh<SimulatedKeys>, now: Duration, link: u64, peer: u64) {
    let peer = Peer {
        relay_id: id(peer),
        public_key: SimulatedKeys::new(peer).public_key(),
        dial: None,
        latency: Duration::from_millis(20),
    };
    mesh.link_up(now, LinkId(link), peer);
}

fn bring(mesh: &mut Mesh<SimulatedKeys>, now: Duration, over: u64, entries: Vec<Arc<RelayEntry>>) {
    bring_batch(mesh, now, over, 1, Vec::new(), entries);
}

/// Announces these entries in this batch, and sends them in the order in which they are requested.
fn bring_batch(
    mesh: &mut Mesh<SimulatedKeys>,
    now: Duration,
    over: u64,
    batch: u64,
    distances: Vec<u8>,
    entries: Vec<Arc<RelayEntry>>,
) {
    let have = entries
        .iter()
        .map(|e| Have(e.relay_id.clone(), e.incarnation, e.version, 0))
        .collect();
    let announced = Gossip {
        batch,
        have,
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

#[test]
fn a_forged_entry_ends_the_link() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    let mut forged = RelayEntry::clone(&entry(2, 1, 1, 2));
    forged.address = "elsewhere.example.com:1".to_owned();
    bring(&mut mesh, ROUND, 1, vec![Arc::new(forged)]);
    assert!(mesh.relay(ROUND, "relay-2").is_none());
    let outputs: Vec<_> = std::iter::from_fn(|| mesh.poll()).collect();
    assert!(
        outputs
            .iter()
            .any(|output| matches!(output, Output::Close { link: LinkId(1), .. }))
    );
}

#[test]
fn a_name_stays_with_its_key() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    bring(&mut mesh, ROUND, 1, vec![entry(2, 1, 1, 2)]);
    bring(&mut mesh, ROUND, 1, vec![entry(2, 9, 9, 3)]);
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

/// An entry in which every string has its maximum length.
fn longest_entry(n: u64) -> Arc<RelayEntry> {
    let keys = SimulatedKeys::new(n);
    let mut entry = RelayEntry::clone(&entry(n, u64::MAX, u64::MAX, n));
    entry.relay_id = RelayId::new(&format!("{n:0>64}")).unwrap();
    entry.address = format!("{n:a>290}.net:8090");
    entry.software_version = "1".repeat(64);
    entry.capabilities = vec!["c".repeat(32); 16];
    entry.signature = keys.sign(&entry_bytes(&entry));
    Arc::new(entry)
}

#[test]
fn entries_of_one_message_are_limited_in_bytes() {
    let mut mesh = mesh();
    let mut names = Vec::new();
    for introducer in 1..=3 {
        link(&mut mesh, ROUND, introducer, introducer);
        let first = 1_000 * introducer;
        let entries: Vec<_> = (first..first + 90).map(longest_entry).collect();
        names.extend(entries.iter().map(|entry| entry.relay_id.clone()));
        bring(&mut mesh, ROUND, introducer, entries);
    }
    link(&mut mesh, ROUND, 9, 9);
    names.truncate(MAX_ENTRIES);
    let want = Gossip {
        want: names,
        ..Gossip::default()
    };
    let answer = mesh.request(ROUND, LinkId(9), Box::new(want));
    let bytes = sdk_relay_protocol::encode(&answer.entries).unwrap().len();
    let (least, most) = (MAX_ENTRY_BYTES / 2, MAX_ENTRY_BYTES + (2 << 10));
    assert!(
        (least..=most).contains(&bytes),
        "{} entries, {bytes} bytes",
        answer.entries.len()
    );
}

#[test]
fn an_older_entry_is_ignored() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    bring(&mut mesh, ROUND, 1, vec![entry(2, 2, 5, 2)]);
    bring(&mut mesh, ROUND, 1, vec![entry(2, 2, 4, 2)]);
    bring(&mut mesh, ROUND, 1, vec![entry(2, 1, 9, 2)]);
    assert_eq!(mesh.relay(ROUND, "relay-2").unwrap().entry.version, 5);
}

fn accuse(mesh: &mut Mesh<SimulatedKeys>, now: Duration, over: u64, accusation: Arc<Accusation>) {
    let gossip = Gossip {
        accusations: vec![accusation],
        ..Gossip::default()
    };
    mesh.request(now, LinkId(over), Box::new(gossip));
}

/// The dial of this relay that is due by `now`, while this link is alive.
fn dial_of(mesh: &mut Mesh<SimulatedKeys>, now: Duration, over: u64, n: u64) -> Option<DialId> {
    mesh.received(now, LinkId(over));
    mesh.tick(now);
    let dials = std::iter::from_fn(|| mesh.poll()).filter_map(|output| match output {
        Output::Dial {
            dial,
            expect: Some((relay, _)),
            ..
        } if relay == id(n) => Some(dial),
        _ => None,
    });
    dials.last()
}

#[test]
fn an_accused_relay_is_critical_only_after_its_deadline_and_an_unanswered_dial() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    let accused = entry(2, 1, 1, 2);
    bring(&mut mesh, ROUND, 1, vec![entry(1, 1, 1, 1), Arc::clone(&accused)]);
    accuse(&mut mesh, ROUND, 1, accusation(&accused, 1));
    let health = |mesh: &Mesh<_>, now| mesh.relay(now, "relay-2").unwrap().health;
    assert_eq!(health(&mesh, ROUND), RelayHealth::Warning);
    assert_eq!(
        dial_of(&mut mesh, ROUND * 2, 1, 2),
        None,
        "its time to refute is not over"
    );
    let dial = dial_of(&mut mesh, ROUND * 7 / 2, 1, 2).unwrap();
    assert_eq!(health(&mesh, ROUND * 4), RelayHealth::Warning);
    mesh.dial_failed(ROUND * 7 / 2, dial);
    assert_eq!(health(&mesh, ROUND * 7 / 2), RelayHealth::Warning);
    assert_eq!(health(&mesh, ROUND * 4), RelayHealth::Critical);
    bring(&mut mesh, ROUND * 4, 1, vec![entry(2, 1, 2, 2)]);
    assert_eq!(health(&mesh, ROUND * 4), RelayHealth::Healthy);
}

#[test]
fn an_accused_relay_that_answers_is_not_critical_and_receives_the_accusation() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    let accused = entry(2, 1, 1, 2);
    bring(&mut mesh, ROUND, 1, vec![entry(1, 1, 1, 1), Arc::clone(&accused)]);
    accuse(&mut mesh, ROUND, 1, accusation(&accused, 1));
    let now = ROUND * 7 / 2;
    let dial = dial_of(&mut mesh, now, 1, 2).unwrap();
    let peer = Peer {
        relay_id: id(2),
        public_key: SimulatedKeys::new(2).public_key(),
        dial: Some(dial),
        latency: Duration::from_millis(20),
    };
    mesh.link_up(now, LinkId(2), peer);
    let announced = std::iter::from_fn(|| mesh.poll()).find_map(|output| match output {
        Output::Request {
            link: LinkId(2),
            gossip,
            ..
        } => Some(gossip.have),
        _ => None,
    });
    assert!(announced.unwrap().contains(&Have(id(2), 1, 1, 1)));
    assert_ne!(mesh.relay(ROUND * 5, "relay-2").unwrap().health, RelayHealth::Critical);
}

#[test]
fn accusations_of_a_relay_with_too_many_strikes_are_refuted_only_if_another_forwards_them() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    link(&mut mesh, ROUND, 3, 3);
    bring(&mut mesh, ROUND, 1, vec![entry(1, 1, 1, 1)]);
    for version in 1..=64 {
        let accused = entry(2, 1, version, 2);
        bring(&mut mesh, ROUND, 1, vec![Arc::clone(&accused)]);
        accuse(&mut mesh, ROUND, 1, accusation(&accused, 1));
    }
    bring(&mut mesh, ROUND, 1, vec![entry(2, 1, 65, 2)]);
    let of_itself = accusation(mesh.own(), 1);
    accuse(&mut mesh, ROUND, 1, Arc::clone(&of_itself));
    assert_eq!(mesh.counters().refuted, 0);
    accuse(&mut mesh, ROUND, 3, of_itself);
    assert_eq!(mesh.counters().refuted, 1);
}

#[test]
fn a_forged_accusation_is_ignored() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    let accused = entry(2, 1, 1, 2);
    bring(
        &mut mesh,
        ROUND,
        1,
        vec![entry(1, 1, 1, 1), entry(3, 1, 1, 3), Arc::clone(&accused)],
    );
    let mut forged = Accusation::clone(&accusation(&accused, 1));
    forged.by = id(3);
    let gossip = Gossip {
        accusations: vec![Arc::new(forged)],
        ..Gossip::default()
    };
    mesh.request(ROUND, LinkId(1), Box::new(gossip));
    assert_eq!(mesh.relay(ROUND * 9, "relay-2").unwrap().health, RelayHealth::Healthy);
}

fn flood(mesh: &mut Mesh<SimulatedKeys>, over: u64, from: u64, relays: u64, now: Duration) {
    for first in (from..from + relays).step_by(256) {
        let last = (first + 256).min(from + relays);
        bring(mesh, now, over, (first..last).map(|n| entry(n, 1, 1, n)).collect());
    }
}

#[test]
fn the_quota_of_a_link_grows_only_with_its_age() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    flood(&mut mesh, 1, 10, 4200, ROUND);
    assert_eq!(mesh.relays(ROUND).len(), 1 + INTRODUCED_AT_FIRST);
    // It reconnects: it is the same relay.
    mesh.link_down(ROUND, LinkId(1));
    link(&mut mesh, ROUND, 2, 1);
    flood(&mut mesh, 2, 5000, 4200, ROUND);
    assert_eq!(mesh.relays(ROUND).len(), 1 + INTRODUCED_AT_FIRST);
    let mut now = ROUND;
    for round in 0..60 {
        now += ROUND;
        mesh.tick(now);
        flood(&mut mesh, 2, 10_000 + round * 1000, 1000, now);
    }
    assert!(
        mesh.relays(now).len() <= 1 + MAX_INTRODUCED,
        "{}",
        mesh.relays(now).len()
    );
    // A newcomer and a relay that another link introduces are added immediately.
    link(&mut mesh, now, 3, 2);
    bring(&mut mesh, now, 3, vec![entry(2, 1, 1, 2), entry(3, 1, 1, 3)]);
    assert!(mesh.relay(now, "relay-2").is_some() && mesh.relay(now, "relay-3").is_some());
}

#[test]
fn a_full_table_evicts_hearsay_of_the_largest_introducer_and_never_first_hand_rows() {
    let mut mesh = mesh();
    let mut now = ROUND;
    for at in 1..=8 {
        link(&mut mesh, now, at, at);
        bring(&mut mesh, now, at, vec![entry(at, 1, 1, at)]);
    }
    for round in 0..40 {
        now += ROUND;
        for at in 1..=8 {
            mesh.received(now, LinkId(at));
            flood(&mut mesh, at, at * 100_000 + round * 1000, 200, now);
        }
    }
    assert_eq!(mesh.relays(now).len(), MAX_RELAYS);
    for at in 1..=8 {
        assert!(mesh.relay(now, &format!("relay-{at}")).is_some(), "{at} is linked");
    }
    link(&mut mesh, now, 9, 9);
    bring(&mut mesh, now, 9, vec![entry(9, 1, 1, 9), entry(99, 1, 1, 99)]);
    assert!(mesh.relay(now, "relay-9").is_some(), "a linked newcomer");
    assert!(
        mesh.relay(now, "relay-99").is_some(),
        "a relay that a newcomer introduces"
    );
    assert_eq!(mesh.relays(now).len(), MAX_RELAYS);
    assert!(mesh.counters().evicted >= 2);
}

/// Announces these entries at this distance, and sends them.
fn bring_from(mesh: &mut Mesh<SimulatedKeys>, now: Duration, over: u64, distance: u8, entries: Vec<Arc<RelayEntry>>) {
    bring_batch(mesh, now, over, u64::MAX, vec![distance; entries.len()], entries);
}

/// The distance of a relay, as it is announced to a newcomer.
fn announced_distance(mesh: &mut Mesh<SimulatedKeys>, newcomer: u64, of: u64) -> Option<u8> {
    link(mesh, ROUND, newcomer, newcomer);
    let first = Gossip {
        relays: 1,
        ..Gossip::default()
    };
    let announced = mesh.request(ROUND, LinkId(newcomer), Box::new(first));
    assert_eq!(announced.have.len(), announced.distances.len());
    mesh.link_down(ROUND, LinkId(newcomer));
    let names = announced.have.iter().map(|have| have.0.clone());
    names
        .zip(announced.distances)
        .find(|(name, _)| *name == id(of))
        .map(|(_, distance)| distance)
}

#[test]
fn near_relays_replace_far_ones_of_the_same_peer_and_only_few_are_near() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    bring_from(
        &mut mesh,
        ROUND,
        1,
        3,
        (1000..1200).map(|n| entry(n, 1, 1, n)).collect(),
    );
    assert_eq!(mesh.relays(ROUND).len(), 1 + INTRODUCED_AT_FIRST);
    for n in 100..200 {
        bring_from(&mut mesh, ROUND, 1, 1, vec![entry(n, 1, 1, n)]);
    }
    let near = (100..200).filter(|n| mesh.relay(ROUND, &format!("relay-{n}")).is_some());
    assert_eq!(near.count(), MAX_NEAR);
    assert_eq!(mesh.relays(ROUND).len(), 1 + INTRODUCED_AT_FIRST);
}

#[test]
fn the_shortest_announced_path_counts() {
    let mut mesh = mesh();
    for peer in 1..=3 {
        link(&mut mesh, ROUND, peer, peer);
    }
    bring_from(&mut mesh, ROUND, 1, 5, vec![entry(9, 1, 1, 9)]);
    assert_eq!(announced_distance(&mut mesh, 101, 9), Some(6));
    bring_from(&mut mesh, ROUND, 2, 1, vec![entry(9, 1, 1, 9)]);
    assert_eq!(announced_distance(&mut mesh, 102, 9), Some(2));
    bring_from(&mut mesh, ROUND, 3, 12, vec![entry(9, 1, 1, 9)]);
    assert_eq!(announced_distance(&mut mesh, 103, 9), Some(2));
    bring_from(&mut mesh, ROUND, 2, 7, vec![entry(9, 1, 1, 9)]);
    assert_eq!(
        announced_distance(&mut mesh, 104, 9),
        Some(8),
        "an introducer can correct itself"
    );
}

#[test]
fn a_first_hand_relay_is_near_whatever_others_announce() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    link(&mut mesh, ROUND, 2, 2);
    bring(&mut mesh, ROUND, 1, vec![entry(1, 1, 1, 1)]);
    bring_from(&mut mesh, ROUND, 2, 14, vec![entry(1, 1, 1, 1)]);
    assert_eq!(announced_distance(&mut mesh, 101, 1), Some(1));
    mesh.link_down(ROUND, LinkId(1));
    assert_eq!(announced_distance(&mut mesh, 102, 1), Some(2), "its link is gone");
}

#[test]
fn announcements_without_distances_are_accepted_as_far() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    let announced = r#"{"digest":1,"batch":1,"have":[["relay-9",1,1,0]]}"#;
    let announced: Gossip = serde_json::from_str(announced).unwrap();
    mesh.request(ROUND, LinkId(1), Box::new(announced));
    let sent = Gossip {
        entries: vec![entry(9, 1, 1, 9)],
        ..Gossip::default()
    };
    mesh.request(ROUND, LinkId(1), Box::new(sent));
    assert_eq!(announced_distance(&mut mesh, 101, 9), Some(15));
}

#[test]
fn announcements_have_four_parts_and_distances_are_a_list_of_their_own() {
    let gossip = Gossip {
        have: vec![Have(id(9), 1, 2, 0)],
        distances: vec![3],
        ..Gossip::default()
    };
    let text = serde_json::to_value(&gossip).unwrap();
    assert_eq!(text["have"], serde_json::json!([["relay-9", 1, 2, 0]]));
    assert_eq!(text["distances"], serde_json::json!([3]));
}

#[test]
fn the_name_of_a_linked_relay_is_protected_before_its_entry_arrives() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    link(&mut mesh, ROUND, 2, 2);
    bring(&mut mesh, ROUND, 1, vec![entry(2, 9, 9, 1)]);
    assert!(mesh.relay(ROUND, "relay-2").is_none());
    bring(&mut mesh, ROUND, 2, vec![entry(2, 1, 1, 2)]);
    let known = mesh.relay(ROUND, "relay-2").unwrap();
    assert_eq!(known.entry.public_key, SimulatedKeys::new(2).public_key());
}

#[test]
fn a_claiming_entry_replaces_one_whose_owner_does_not_answer() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    link(&mut mesh, ROUND, 3, 3);
    bring(&mut mesh, ROUND, 1, vec![entry(2, 9, 9, 1)]);
    bring(&mut mesh, ROUND, 3, vec![entry(2, 1, 1, 2)]);
    let key = |mesh: &Mesh<_>| mesh.relay(ROUND, "relay-2").unwrap().entry.public_key.clone();
    assert_eq!(key(&mesh), SimulatedKeys::new(1).public_key());
    let dial = std::iter::from_fn(|| mesh.poll()).find_map(|output| match output {
        Output::Dial { dial, expect, .. } => expect.filter(|(name, _)| *name == id(2)).map(|_| dial),
        _ => None,
    });
    mesh.dial_failed(ROUND, dial.unwrap());
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
    let bring = |mesh: &mut Mesh<Bound>, at: u64, entry: Arc<RelayEntry>| {
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
    bring(&mut mesh, 1, entry(2, 9, 9, 1));
    assert!(mesh.relay(ROUND, "relay-2").is_none(), "signed with another key");
    assert!(!up(&mut mesh, 2, 2, 1), "nor can a link use it");
    assert!(up(&mut mesh, 3, 2, 2));
    bring(&mut mesh, 3, entry(2, 1, 1, 2));
    let known = mesh.relay(ROUND, "relay-2").unwrap();
    assert_eq!(known.entry.public_key, SimulatedKeys::new(2).public_key());
    assert_eq!(known.link, Some(LinkId(3)));
}

#[test]
fn a_connecting_claimant_gets_a_hearsay_name_whose_owner_does_not_answer() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    bring(&mut mesh, ROUND, 1, vec![entry(2, 9, 9, 1)]);
    let claim = |mesh: &mut Mesh<SimulatedKeys>, at: u64| {
        link(mesh, ROUND, at, 2);
        mesh.is_up(LinkId(at))
    };
    assert!(!claim(&mut mesh, 2), "the other key is dialled first");
    let dial = std::iter::from_fn(|| mesh.poll()).find_map(|output| match output {
        Output::Dial { dial, expect, .. } => expect.filter(|(name, _)| *name == id(2)).map(|_| dial),
        _ => None,
    });
    mesh.dial_failed(ROUND, dial.unwrap());
    assert!(claim(&mut mesh, 3));
    bring(&mut mesh, ROUND, 3, vec![entry(2, 1, 1, 2)]);
    let known = mesh.relay(ROUND, "relay-2").unwrap();
    assert_eq!(known.entry.public_key, SimulatedKeys::new(2).public_key());
    // From now on it is known first hand: hearsay changes nothing, and no other link gets the name.
    bring(&mut mesh, ROUND, 1, vec![entry(2, 99, 9, 1)]);
    assert_eq!(mesh.relay(ROUND, "relay-2").unwrap().entry, known.entry);
    assert_eq!(mesh.proven_key("relay-2"), Some(known.entry.public_key.as_str()));
}

#[test]
fn a_deferred_or_forbidden_dial_accuses_nobody() {
    for forbidden in [false, true] {
        let mut mesh = mesh();
        link(&mut mesh, ROUND, 1, 1);
        bring(&mut mesh, ROUND, 1, vec![entry(2, 1, 1, 2)]);
        let mut now = ROUND;
        let mut dials = 0;
        for _ in 0..40 {
            now += ROUND / 4;
            mesh.received(now, LinkId(1));
            mesh.tick(now);
            while let Some(output) = mesh.poll() {
                if let Output::Dial { dial, .. } = output {
                    dials += 1;
                    match forbidden {
                        true => mesh.dial_forbidden(now, dial),
                        false => mesh.dial_deferred(now, dial),
                    }
                }
            }
        }
        assert!(dials > 0);
        assert_eq!(mesh.counters().accused, 0);
        assert_eq!(mesh.relay(now, "relay-2").unwrap().health, RelayHealth::Healthy);
    }
}

#[test]
fn unreachable_configured_relays_delay_no_other() {
    let seeds: Vec<String> = (0..20).map(|n| format!("seed-{n}.example.com:8090")).collect();
    let mut mesh = lone(Config {
        seeds: seeds.clone(),
        ..Config::default()
    });
    mesh.tick(Duration::ZERO);
    let dialled: Vec<String> = std::iter::from_fn(|| mesh.poll())
        .filter_map(|output| match output {
            Output::Dial { address, .. } => Some(address),
            _ => None,
        })
        .collect();
    assert_eq!(dialled, seeds);
}

fn any_id() -> impl Strategy<Value = RelayId> {
    (0u64..12).prop_map(id)
}

fn any_gossip() -> impl Strategy<Value = Gossip> {
    let have = prop::collection::vec((any_id(), 0u64..4, any::<u64>(), any::<u8>(), any::<u8>()), 0..8);
    let entry_of = (
        0u64..12,
        prop_oneof![0u64..4, Just(u64::MAX)],
        prop_oneof![0u64..4, Just(u64::MAX)],
        0u64..12,
    );
    let entries = prop::collection::vec(entry_of, 0..8);
    let accusations = prop::collection::vec((0u64..12, 0u64..4, 0u64..4, 0u64..12), 0..4);
    let ids = || prop::collection::vec(any_id(), 0..12);
    let heard = prop::collection::vec((any_id(), any::<u64>()), 0..12);
    let buckets =
        prop_oneof![Just(0usize), Just(64), 0usize..80].prop_flat_map(|n| prop::collection::vec(any::<u64>(), n));
    let small = (
        any::<u64>(),
        (any::<u16>(), any::<u16>()),
        any::<bool>(),
        0u64..4,
        0u64..4,
    );
    (small, have, (ids(), ids(), ids()), entries, accusations, heard, buckets).prop_map(
        |(
            (digest, (links, relays), passing, batch, ack),
            have,
            (want, doubt, probe),
            entries,
            accusations,
            heard,
            buckets,
        )| {
            Gossip {
                digest,
                links,
                relays,
                passing,
                batch,
                ack,
                distances: have.iter().map(|(_, _, _, _, distance)| *distance).collect(),
                have: have.into_iter().map(|(id, i, v, a, _)| Have(id, i, v, a)).collect(),
                want,
                doubt,
                entries: entries.into_iter().map(|(n, i, v, key)| entry(n, i, v, key)).collect(),
                accusations: accusations
                    .into_iter()
                    .map(|(of, i, v, by)| accusation(&entry(of, i, v, of), by))
                    .collect(),
                buckets,
                probe,
                heard: heard.into_iter().map(|(id, ago)| Heard(id, ago)).collect(),
            }
        },
    )
}

#[derive(Clone, Debug)]
enum Input {
    Up(u64, u64, Option<u64>),
    Down(u64),
    Failed(u64),
    Request(u64, Box<Gossip>),
    Response(u64, u64, Box<Gossip>),
    Status(bool),
    Wait(u64),
}

fn any_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        2 => (0u64..40, 0u64..40, prop::option::of(0u64..6)).prop_map(|(link, peer, dial)| Input::Up(link, peer, dial)),
        1 => (0u64..40).prop_map(Input::Down),
        1 => (0u64..8).prop_map(Input::Failed),
        4 => (0u64..40, any_gossip()).prop_map(|(link, gossip)| Input::Request(link, Box::new(gossip))),
        3 => (0u64..40, 0u64..40, any_gossip()).prop_map(|(l, t, gossip)| Input::Response(l, t, Box::new(gossip))),
        1 => any::<bool>().prop_map(Input::Status),
        3 => (0u64..100_000).prop_map(Input::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_input_exceeds_the_limits(inputs in prop::collection::vec(any_input(), 1..60)) {
        let mut mesh = mesh();
        let mut now = Duration::ZERO;
        let mut used = std::collections::BTreeSet::new();
        let (mut dials, mut open) = (0usize, 0usize);
        for input in inputs {
            match input {
                Input::Up(at, peer, dial) => {
                    if used.insert(at) {
                        let peer = Peer {
                            relay_id: id(peer),
                            public_key: SimulatedKeys::new(peer).public_key(),
                            dial: dial.map(DialId),
                            latency: Duration::from_millis(at),
                        };
                        mesh.link_up(now, LinkId(at), peer);
                    }
                }
                Input::Down(at) => mesh.link_down(now, LinkId(at)),
                Input::Failed(dial) => mesh.dial_failed(now, DialId(dial)),
                Input::Request(at, gossip) => {
                    let answer = mesh.request(now, LinkId(at), gossip);
                    prop_assert!(answer.have.len() <= MAX_HAVE && answer.entries.len() <= MAX_ENTRIES + 1);
                }
                Input::Response(at, token, gossip) => mesh.response(now, LinkId(at), Token(token), gossip),
                Input::Status(bad) => {
                    mesh.set_status(now, if bad { RelayStatus::Degraded } else { RelayStatus::Healthy });
                }
                Input::Wait(millis) => {
                    now += Duration::from_millis(millis);
                    mesh.tick(now);
                    open = 0;
                }
            }
            while let Some(output) = mesh.poll() {
                if let Output::Dial { .. } = output {
                    dials += 1;
                    open += 1;
                }
            }
            prop_assert!(open <= MAX_DIALS * 8, "dials between two ticks");
            prop_assert!(mesh.links() <= 8 + MAX_PASSING);
            let own = mesh.relays(now);
            prop_assert!(own.len() <= MAX_RELAYS);
            prop_assert_eq!(own[0].entry.relay_id.as_str(), "relay-0");
            prop_assert_eq!(&own[0].entry.public_key, &SimulatedKeys::new(0).public_key());
        }
        prop_assert_eq!(dials as u64, mesh.counters().dials);
    }
}
