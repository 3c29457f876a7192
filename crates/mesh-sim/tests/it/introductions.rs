//! Quotas of introducers, distances, and evictions from a full table.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh::limits::{INTRODUCED_AT_FIRST, MAX_INTRODUCED, MAX_NEAR, MAX_RELAYS};
use sdk_relay_mesh::{LinkId, Mesh};
use sdk_relay_mesh_sim::SimulatedKeys;
use sdk_relay_protocol::mesh::{Gossip, Have, RelayEntry};

use crate::peers::{ROUND, announce_and_send, entry, id, link, mesh, send};

fn flood(mesh: &mut Mesh<SimulatedKeys>, over: u64, from: u64, relays: u64, now: Duration) {
    for first in (from..from + relays).step_by(256) {
        let last = (first + 256).min(from + relays);
        send(mesh, now, over, (first..last).map(|n| entry(n, 1, 1, n)).collect());
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
    send(&mut mesh, now, 3, vec![entry(2, 1, 1, 2), entry(3, 1, 1, 3)]);
    assert!(mesh.relay(now, "relay-2").is_some() && mesh.relay(now, "relay-3").is_some());
}

#[test]
fn a_full_table_evicts_hearsay_of_the_largest_introducer_and_never_first_hand_rows() {
    let mut mesh = mesh();
    let mut now = ROUND;
    for at in 1..=8 {
        link(&mut mesh, now, at, at);
        send(&mut mesh, now, at, vec![entry(at, 1, 1, at)]);
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
    send(&mut mesh, now, 9, vec![entry(9, 1, 1, 9), entry(99, 1, 1, 99)]);
    assert!(mesh.relay(now, "relay-9").is_some(), "a linked newcomer");
    assert!(
        mesh.relay(now, "relay-99").is_some(),
        "a relay that a newcomer introduces"
    );
    assert_eq!(mesh.relays(now).len(), MAX_RELAYS);
    assert!(mesh.counters().evicted >= 2);
}

/// Announces these entries at this distance, and sends them.
fn send_from(mesh: &mut Mesh<SimulatedKeys>, now: Duration, over: u64, distance: u8, entries: Vec<Arc<RelayEntry>>) {
    announce_and_send(mesh, now, over, u64::MAX, vec![distance; entries.len()], entries);
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
    send_from(
        &mut mesh,
        ROUND,
        1,
        3,
        (1000..1200).map(|n| entry(n, 1, 1, n)).collect(),
    );
    assert_eq!(mesh.relays(ROUND).len(), 1 + INTRODUCED_AT_FIRST);
    for n in 100..200 {
        send_from(&mut mesh, ROUND, 1, 1, vec![entry(n, 1, 1, n)]);
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
    send_from(&mut mesh, ROUND, 1, 5, vec![entry(9, 1, 1, 9)]);
    assert_eq!(announced_distance(&mut mesh, 101, 9), Some(6));
    send_from(&mut mesh, ROUND, 2, 1, vec![entry(9, 1, 1, 9)]);
    assert_eq!(announced_distance(&mut mesh, 102, 9), Some(2));
    send_from(&mut mesh, ROUND, 3, 12, vec![entry(9, 1, 1, 9)]);
    assert_eq!(announced_distance(&mut mesh, 103, 9), Some(2));
    send_from(&mut mesh, ROUND, 2, 7, vec![entry(9, 1, 1, 9)]);
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
    send(&mut mesh, ROUND, 1, vec![entry(1, 1, 1, 1)]);
    send_from(&mut mesh, ROUND, 2, 14, vec![entry(1, 1, 1, 1)]);
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
