//! The order in which accused relays are dialled.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh::keys::{accusation_bytes, entry_bytes};
use sdk_relay_mesh::limits::{MAX_ACCUSED_DIALS, MAX_UNPROVEN_DIALS};
use sdk_relay_mesh::{Config, DialId, Keys, LinkId, Mesh, Output, Peer};
use sdk_relay_mesh_sim::{SimulatedKeys, lone};
use sdk_relay_protocol::mesh::{Accusation, Gossip, Have, RelayEntry, RelayId, RelayStatus};

const ROUND: Duration = Duration::from_secs(30);

/// A dial that is not answered fails after this time.
const NO_ANSWER: Duration = Duration::from_secs(10);

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

fn id(n: u64) -> RelayId {
    RelayId::new(&format!("relay-{n}")).unwrap()
}

fn link(mesh: &mut Mesh<SimulatedKeys>, now: Duration, n: u64, dial: Option<DialId>) {
    let peer = Peer {
        relay_id: id(n),
        public_key: SimulatedKeys::new(n).public_key(),
        dial,
        latency: Duration::from_millis(20),
    };
    mesh.link_up(now, LinkId(n), peer);
}

fn entry(n: u64) -> Arc<RelayEntry> {
    let keys = SimulatedKeys::new(n);
    let mut entry = RelayEntry {
        relay_id: id(n),
        public_key: keys.public_key(),
        address: format!("relay-{n}.example.com:8090"),
        incarnation: 1,
        version: 1,
        status: RelayStatus::Healthy,
        software_version: "0.1.0".to_owned(),
        capabilities: Vec::new(),
        started: 0,
        signature: String::new(),
    };
    entry.signature = keys.sign(&entry_bytes(&entry));
    Arc::new(entry)
}

fn accusation(of: u64) -> Arc<Accusation> {
    let mut accusation = Accusation {
        relay_id: id(of),
        incarnation: 1,
        version: 1,
        by: id(ACCUSER),
        signature: String::new(),
    };
    accusation.signature = SimulatedKeys::new(ACCUSER).sign(&accusation_bytes(&accusation));
    Arc::new(accusation)
}

/// A peer announces these relays at this distance and sends their entries; the accuser accuses them.
fn bring_accused(mesh: &mut Mesh<SimulatedKeys>, now: Duration, over: u64, distance: u8, names: &[u64]) {
    let announced = Gossip {
        batch: 1,
        have: names.iter().map(|n| Have(id(*n), 1, 1, 0)).collect(),
        distances: vec![distance; names.len()],
        ..Gossip::default()
    };
    mesh.request(now, LinkId(over), Box::new(announced));
    let sent = Gossip {
        entries: names.iter().map(|n| entry(*n)).collect(),
        ..Gossip::default()
    };
    mesh.request(now, LinkId(over), Box::new(sent));
    let accused = Gossip {
        accusations: names.iter().map(|n| accusation(*n)).collect(),
        ..Gossip::default()
    };
    mesh.request(now, LinkId(ACCUSER), Box::new(accused));
}

/// New dials, in their order, and the relays that they are for.
fn dials(mesh: &mut Mesh<SimulatedKeys>) -> Vec<(DialId, u64)> {
    let outputs = std::iter::from_fn(|| mesh.poll());
    outputs
        .filter_map(|output| match output {
            Output::Dial { dial, expect, .. } => {
                let (name, _) = expect?;
                Some((dial, name.as_str().strip_prefix("relay-")?.parse().ok()?))
            }
            _ => None,
        })
        .collect()
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
        link(&mut mesh, ROUND, *n, None);
        let own = Gossip {
            entries: vec![entry(*n)],
            ..Gossip::default()
        };
        mesh.request(ROUND, LinkId(*n), Box::new(own));
        if *n == INVENTOR {
            // In a mesh of so many relays there are slots for all these links.
            let names: Vec<u64> = invented.by_ref().take(64).collect();
            bring_accused(&mut mesh, ROUND, INVENTOR, 2, &names);
        }
    }
    bring_accused(&mut mesh, ROUND, HONEST, 3, &EXIST);
    let (mut now, mut dialled, mut under_way) = (ROUND, BTreeSet::new(), Vec::new());
    while !EXIST.iter().all(|n| dialled.contains(n)) && now < ROUND * 30 {
        // More than can be dialled.
        for n in 0..inventors {
            let names: Vec<u64> = invented.by_ref().take(8).collect();
            bring_accused(&mut mesh, now, INVENTOR + n, 2, &names);
            // It also asks for probes of them.
            let asks = Gossip {
                probe: names.into_iter().map(id).collect(),
                ..Gossip::default()
            };
            mesh.request(now, LinkId(INVENTOR + n), Box::new(asks));
        }
        now += NO_ANSWER;
        for n in &links {
            mesh.received(now, LinkId(*n));
        }
        let failed = std::mem::take(&mut under_way);
        failed.into_iter().for_each(|dial| mesh.dial_failed(now, dial));
        mesh.tick(now);
        // Those that exist answer immediately.
        loop {
            let begun = dials(&mut mesh);
            if begun.is_empty() {
                break;
            }
            for (dial, n) in begun {
                match EXIST.contains(&n) {
                    true => {
                        dialled.insert(n);
                        links.insert(n);
                        link(&mut mesh, now, n, Some(dial));
                    }
                    false => under_way.push(dial),
                }
            }
        }
        assert!(under_way.len() <= MAX_ACCUSED_DIALS + MAX_UNPROVEN_DIALS);
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
