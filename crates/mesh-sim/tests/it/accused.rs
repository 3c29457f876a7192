//! The order in which accused relays are dialled.

use std::collections::BTreeSet;
use std::time::Duration;

use sdk_relay_mesh::limits::{MAX_ACCUSED_DIALS, MAX_UNPROVEN_DIALS};
use sdk_relay_mesh::{Config, LinkId, Mesh};
use sdk_relay_mesh_sim::{SimulatedKeys, lone};
use sdk_relay_protocol::mesh::Gossip;

use crate::peers::{NO_ANSWER, ROUND, accusation_by, announce_and_send, dials, entry, id, peer};

/// The peer that accuses everybody.
const ACCUSER: u64 = 1;

/// The peer that introduces relays that exist.
const HONEST: u64 = 2;

/// The first of the peers that introduce relays that do not exist.
const INVENTOR: u64 = 10;

/// Relays that exist.
const EXIST: [u64; 8] = [100, 101, 102, 103, 104, 105, 106, 107];

/// Relays that do not exist have these names and higher ones.
const INVENTED: u64 = 10_000;

/// A peer announces these relays at this distance and sends their entries; the accuser accuses them.
fn send_accused(mesh: &mut Mesh<SimulatedKeys>, now: Duration, over: u64, distance: u8, names: &[u64]) {
    let entries: Vec<_> = names.iter().map(|n| entry(*n, 1, 1, *n)).collect();
    let accusations = entries.iter().map(|entry| accusation_by(entry, ACCUSER));
    let accused = Gossip {
        accusations: accusations.collect(),
        ..Gossip::default()
    };
    announce_and_send(mesh, now, over, 1, vec![distance; names.len()], entries);
    mesh.request(now, LinkId(ACCUSER), Box::new(accused));
}

/// Rounds until all relays that exist have been dialled, while so many peers keep inventing nearer ones.
fn rounds_until_dialled(inventors: u64) -> u32 {
    let mut mesh = lone(Config {
        max_links: 32,
        ..Config::default()
    });
    let mut links: BTreeSet<u64> = [ACCUSER, HONEST].into();
    links.extend(INVENTOR..INVENTOR + inventors);
    let mut invented = INVENTED..;
    for n in &links {
        mesh.link_up(ROUND, LinkId(*n), peer(*n, None));
        let own = Gossip {
            entries: vec![entry(*n, 1, 1, *n)],
            ..Gossip::default()
        };
        mesh.request(ROUND, LinkId(*n), Box::new(own));
        if *n == INVENTOR {
            // In a mesh of so many relays there are slots for all these links.
            let names: Vec<u64> = invented.by_ref().take(64).collect();
            send_accused(&mut mesh, ROUND, INVENTOR, 2, &names);
        }
    }
    send_accused(&mut mesh, ROUND, HONEST, 3, &EXIST);
    let (mut now, mut dialled, mut in_progress) = (ROUND, BTreeSet::new(), Vec::new());
    while !EXIST.iter().all(|n| dialled.contains(n)) && now < ROUND * 30 {
        // More than can be dialled.
        for n in 0..inventors {
            let names: Vec<u64> = invented.by_ref().take(8).collect();
            send_accused(&mut mesh, now, INVENTOR + n, 2, &names);
            // It also asks for probes of them.
            let request_text = Gossip {
                probe: names.into_iter().map(id).collect(),
                ..Gossip::default()
            };
            mesh.request(now, LinkId(INVENTOR + n), Box::new(request_text));
        }
        now += NO_ANSWER;
        for n in &links {
            mesh.received(now, LinkId(*n));
        }
        let failed = std::mem::take(&mut in_progress);
        failed.into_iter().for_each(|dial| mesh.dial_failed(now, dial));
        mesh.tick(now);
        // Those that exist answer immediately.
        loop {
            let begun = dials(&mut mesh);
            if begun.is_empty() {
                break;
            }
            for (dial, relay) in begun {
                let n: u64 = relay.as_str().strip_prefix("relay-").unwrap().parse().unwrap();
                match EXIST.contains(&n) {
                    true => {
                        dialled.insert(n);
                        links.insert(n);
                        mesh.link_up(now, LinkId(n), peer(n, Some(dial)));
                    }
                    false => in_progress.push(dial),
                }
            }
        }
        assert!(in_progress.len() <= MAX_ACCUSED_DIALS + MAX_UNPROVEN_DIALS);
    }
    (now - ROUND).as_secs() as u32 / ROUND.as_secs() as u32
}

#[test]
fn invented_relays_do_not_delay_dials_of_another_introducer() {
    // They are due after two rounds.
    assert!(rounds_until_dialled(2) <= 3);
}

#[test]
fn more_inventors_than_dial_slots_delay_dials_by_their_share_only() {
    let inventors = MAX_ACCUSED_DIALS + 2;
    // Each of these dials fails three times in a round, and of so many that fail, each peer has one.
    let share = (EXIST.len() * inventors).div_ceil(3 * MAX_ACCUSED_DIALS);
    assert!(rounds_until_dialled(inventors as u64) as usize <= 3 + share);
}
