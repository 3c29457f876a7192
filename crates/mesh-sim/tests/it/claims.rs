//! Contested names: the order in which claims are settled, and what becomes of a claim whose link ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh::limits::{MAX_CLAIMS, MAX_CONTESTED_DIALS};
use sdk_relay_mesh::{Config, Keys, LinkId, Mesh, Output};
use sdk_relay_mesh_sim::{SimulatedKeys, lone};
use sdk_relay_protocol::mesh::RelayEntry;

use crate::peers::{self, NO_ANSWER, ROUND, announce_and_send, dials, id, peer};

/// The relay whose name is contested.
const OWNER: u64 = 99;

/// The peer that introduces all names with wrong keys.
const INTRODUCER: u64 = 1;

fn mesh() -> Mesh<SimulatedKeys> {
    lone(Config {
        max_links: 32,
        ..Config::default()
    })
}

fn link(mesh: &mut Mesh<SimulatedKeys>, now: Duration, link: u64) {
    mesh.link_up(now, LinkId(link), peer(link, None));
}

fn entry(n: u64, key: u64) -> Arc<RelayEntry> {
    peers::entry(n, key, 1, key)
}

/// A peer announces these entries at this distance, and sends them.
fn send(mesh: &mut Mesh<SimulatedKeys>, now: Duration, over: u64, distance: u8, entries: Vec<Arc<RelayEntry>>) {
    announce_and_send(mesh, now, over, 1, vec![distance; entries.len()], entries);
}

/// The introducer sends wrong keys for the owner's name, and for 100 names of relays that do not exist.
fn with_wrong_keys() -> Mesh<SimulatedKeys> {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, INTRODUCER);
    let names = std::iter::once(OWNER).chain(100..200);
    send(
        &mut mesh,
        ROUND,
        INTRODUCER,
        2,
        names.map(|n| entry(n, 10_000 + n)).collect(),
    );
    mesh
}

/// A link claims a name for another key.
fn claim(mesh: &mut Mesh<SimulatedKeys>, now: Duration, over: u64, distance: u8, name: u64) {
    send(mesh, now, over, distance, vec![entry(name, name)]);
}

#[test]
fn claims_of_ended_links_delay_no_others() {
    let mut mesh = with_wrong_keys();
    // Links that only probe, one after the other.
    for over in 2..=11 {
        link(&mut mesh, ROUND, over);
        for n in 0..MAX_CLAIMS as u64 {
            claim(&mut mesh, ROUND, over, 1, 100 + over * MAX_CLAIMS as u64 + n);
        }
        mesh.link_down(ROUND, LinkId(over));
    }
    let in_progress = dials(&mut mesh);
    assert!(in_progress.len() >= MAX_CONTESTED_DIALS);
    link(&mut mesh, ROUND, 20);
    claim(&mut mesh, ROUND, 20, 6, OWNER);
    let later = ROUND + NO_ANSWER;
    for (dial, _) in in_progress {
        mesh.dial_failed(later, dial);
    }
    mesh.tick(later);
    assert!(dials(&mut mesh).iter().any(|(_, name)| *name == id(OWNER)));
}

#[test]
fn names_claimed_by_an_ended_link_are_requested_from_other_links() {
    let mut mesh = with_wrong_keys();
    for over in 2..=4 {
        link(&mut mesh, ROUND, over);
    }
    // All dial slots are in use.
    for n in 0..MAX_CLAIMS as u64 {
        claim(&mut mesh, ROUND, 2, 1, 100 + n);
        claim(&mut mesh, ROUND, 3, 1, 110 + n);
    }
    claim(&mut mesh, ROUND, 4, 1, OWNER);
    assert!(dials(&mut mesh).iter().all(|(_, name)| *name != id(OWNER)));
    mesh.link_down(ROUND, LinkId(4));
    mesh.tick(ROUND + ROUND / 4);
    let requested = std::iter::from_fn(|| mesh.poll()).any(|output| match output {
        Output::Request { gossip, .. } => gossip.want.contains(&id(OWNER)),
        _ => false,
    });
    assert!(requested);
}

#[test]
fn near_claims_of_many_links_do_not_starve_a_far_one() {
    let mut mesh = with_wrong_keys();
    let many = 2..2 + 2 * MAX_CONTESTED_DIALS as u64;
    let (mut names, mut claimed) = (100.., BTreeMap::new());
    for over in many.clone() {
        link(&mut mesh, ROUND, over);
        let name = names.next().unwrap();
        claim(&mut mesh, ROUND, over, 1, name);
        claimed.insert(id(name), over);
    }
    link(&mut mesh, ROUND, 50);
    claim(&mut mesh, ROUND, 50, 6, OWNER);
    let (mut now, mut in_progress) = (ROUND, dials(&mut mesh));
    while !in_progress.iter().any(|(_, name)| *name == id(OWNER)) {
        now += NO_ANSWER;
        assert!(now < 4 * ROUND, "the far claim is never dialled");
        for (dial, name) in std::mem::take(&mut in_progress) {
            // A link whose claim is about to be settled has the next one ready.
            if let Some(over) = claimed.remove(&name) {
                let name = names.next().unwrap();
                claim(&mut mesh, now, over, 1, name);
                claimed.insert(id(name), over);
            }
            mesh.dial_failed(now, dial);
        }
        for over in many.clone().chain([INTRODUCER, 50]) {
            mesh.received(now, LinkId(over));
        }
        mesh.tick(now);
        in_progress.extend(dials(&mut mesh));
    }
}

#[test]
fn a_failed_dial_does_not_count_against_another_key() {
    let (squatters, others) = (10_000, 20_000);
    let mut mesh = mesh();
    link(&mut mesh, ROUND, INTRODUCER);
    send(&mut mesh, ROUND, INTRODUCER, 2, vec![entry(OWNER, squatters)]);
    // It does not answer once, and is dialled again.
    let mut now = ROUND;
    let mut dial_again = |mesh: &mut Mesh<SimulatedKeys>| {
        for _ in 0..100 {
            now += ROUND / 4;
            mesh.received(now, LinkId(INTRODUCER));
            mesh.tick(now);
            if let Some((dial, _)) = dials(mesh).into_iter().find(|(_, name)| *name == id(OWNER)) {
                return (now, dial);
            }
        }
        unreachable!("it is dialled now and then");
    };
    let (failed, dial) = dial_again(&mut mesh);
    mesh.dial_failed(failed, dial);
    let (now, dial) = dial_again(&mut mesh);
    // The owner's entry replaces it before that dial has failed too.
    link(&mut mesh, now, 2);
    send(&mut mesh, now, 2, 2, vec![entry(OWNER, OWNER)]);
    mesh.dial_failed(now + NO_ANSWER, dial);
    send(&mut mesh, now + NO_ANSWER, INTRODUCER, 2, vec![entry(OWNER, others)]);
    let known = mesh.relay(now + NO_ANSWER, "relay-99").unwrap();
    assert_eq!(known.entry.public_key, SimulatedKeys::new(OWNER).public_key());
}
