//! Anything, in any order, into one relay's part of the mesh: no panic, and no growth beyond its bounds.
#![no_main]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sdk_relay_mesh::keys::{accusation_bytes, entry_bytes};
use sdk_relay_mesh::limits::{MAX_ACCUSATIONS, MAX_ENTRIES, MAX_HAVE, MAX_PASSING, MAX_PROBES, MAX_RELAYS};
use sdk_relay_mesh::{Config, DialId, Keys, LinkId, Mesh, Output, Peer, Token};
use sdk_relay_mesh_sim::{SimulatedKeys, lone};
use sdk_relay_protocol::mesh::{Accusation, Gossip, Have, Heard, RelayEntry, RelayId, RelayStatus};

/// One thing that happens. Small numbers name relays and links, so that they meet.
#[derive(Arbitrary, Debug)]
enum Step {
    Up {
        link: u8,
        peer: u8,
        key: u8,
        dial: Option<u8>,
    },
    Down {
        link: u8,
    },
    Failed {
        dial: u8,
    },
    Request {
        link: u8,
        gossip: AnyGossip,
    },
    Response {
        link: u8,
        token: u8,
        gossip: AnyGossip,
    },
    Received {
        link: u8,
    },
    Latency {
        link: u8,
        millis: u64,
    },
    Status {
        status: u8,
    },
    Interval {
        millis: u64,
    },
    Leave,
    Wait {
        millis: u32,
    },
    Deadline,
}

#[derive(Arbitrary, Debug)]
struct AnyGossip {
    digest: Option<u64>,
    links: u16,
    relays: u16,
    passing: bool,
    batch: u64,
    ack: u64,
    have: Vec<(u8, u64, u64, u8)>,
    distances: Vec<u8>,
    want: Vec<u8>,
    doubt: Vec<u8>,
    /// Relay, incarnation, version, key, and whether the signature holds.
    entries: Vec<(u8, u64, u64, u8, bool)>,
    accusations: Vec<(u8, u64, u64, u8)>,
    buckets: Vec<u64>,
    all_buckets: Option<u64>,
    probe: Vec<u8>,
    heard: Vec<(u8, u64)>,
}

fn id(n: u8) -> RelayId {
    RelayId::new(&format!("relay-{n}")).expect("a short name")
}

fn status(n: u8) -> RelayStatus {
    match n % 4 {
        0 => RelayStatus::Healthy,
        1 => RelayStatus::Degraded,
        2 => RelayStatus::Critical,
        _ => RelayStatus::Left,
    }
}

fn entry((n, incarnation, version, key, signed): (u8, u64, u64, u8, bool)) -> Arc<RelayEntry> {
    let keys = SimulatedKeys::new(u64::from(key));
    let mut entry = RelayEntry {
        relay_id: id(n),
        public_key: keys.public_key(),
        address: format!("relay-{n}.example.com:8090"),
        incarnation,
        version,
        status: status(n / 64),
        software_version: "0.1.0".to_owned(),
        capabilities: Vec::new(),
        started: 0,
        signature: "0".repeat(128),
    };
    if signed {
        entry.signature = keys.sign(&entry_bytes(&entry));
    }
    Arc::new(entry)
}

fn accusation((of, incarnation, version, by): (u8, u64, u64, u8)) -> Arc<Accusation> {
    let mut accusation = Accusation {
        relay_id: id(of),
        incarnation,
        version,
        by: id(by),
        signature: String::new(),
    };
    accusation.signature = SimulatedKeys::new(u64::from(by)).sign(&accusation_bytes(&accusation));
    Arc::new(accusation)
}

fn gossip(any: AnyGossip, mesh: &Mesh<SimulatedKeys>) -> Box<Gossip> {
    let ids = |names: Vec<u8>| names.into_iter().map(id).collect();
    Box::new(Gossip {
        digest: any.digest.unwrap_or_else(|| mesh.digest()),
        links: any.links,
        relays: any.relays,
        passing: any.passing,
        batch: any.batch,
        ack: any.ack,
        have: any.have.into_iter().map(|(n, i, v, a)| Have(id(n), i, v, a)).collect(),
        distances: any.distances,
        want: ids(any.want),
        doubt: ids(any.doubt),
        entries: any.entries.into_iter().map(entry).collect(),
        accusations: any.accusations.into_iter().map(accusation).collect(),
        buckets: any.all_buckets.map_or(any.buckets, |hash| vec![hash; 64]),
        probe: ids(any.probe),
        heard: any.heard.into_iter().map(|(n, ago)| Heard(id(n), ago)).collect(),
    })
}

fn is_bounded(gossip: &Gossip) {
    assert!(gossip.have.len() <= MAX_HAVE);
    assert!(gossip.want.len() <= MAX_ENTRIES && gossip.doubt.len() <= MAX_ENTRIES);
    // Its own entry and a hint come on top.
    assert!(gossip.entries.len() <= MAX_ENTRIES + 2 && gossip.accusations.len() <= MAX_ACCUSATIONS);
    assert!(gossip.probe.len() <= MAX_PROBES && gossip.heard.len() <= MAX_PROBES);
}

fuzz_target!(|steps: Vec<Step>| {
    let config = Config {
        seeds: vec!["seed.example.com:8090".to_owned()],
        ..Config::default()
    };
    let most = config.max_links;
    let mut now = Duration::ZERO;
    let mut mesh = lone(config);
    let mut used = BTreeSet::new();
    for step in steps {
        match step {
            // The driver names each link once, and proves names and keys.
            Step::Up { link, peer, key, dial } if used.insert(link) => {
                let peer = Peer {
                    relay_id: id(peer),
                    public_key: SimulatedKeys::new(u64::from(key)).public_key(),
                    dial: dial.map(|dial| DialId(u64::from(dial))),
                    latency: Duration::from_millis(20),
                };
                mesh.link_up(now, LinkId(u64::from(link)), peer);
            }
            Step::Up { .. } => {}
            Step::Down { link } => mesh.link_down(now, LinkId(u64::from(link))),
            Step::Failed { dial } => mesh.dial_failed(now, DialId(u64::from(dial))),
            Step::Request { link, gossip: any } => {
                let any = gossip(any, &mesh);
                is_bounded(&mesh.request(now, LinkId(u64::from(link)), any));
            }
            Step::Response {
                link,
                token,
                gossip: any,
            } => {
                let any = gossip(any, &mesh);
                mesh.response(now, LinkId(u64::from(link)), Token(u64::from(token)), any);
            }
            Step::Received { link } => mesh.received(now, LinkId(u64::from(link))),
            Step::Latency { link, millis } => {
                mesh.latency(now, LinkId(u64::from(link)), Duration::from_millis(millis % 600_000));
            }
            Step::Status { status: n } => mesh.set_status(now, status(n)),
            Step::Interval { millis } => mesh.set_interval(now, Duration::from_millis(millis % 86_400_000)),
            Step::Leave => mesh.leave(now),
            Step::Wait { millis } => {
                now += Duration::from_millis(u64::from(millis) % 7_200_000);
                mesh.tick(now);
            }
            Step::Deadline => {
                now = now.max(mesh.deadline());
                mesh.tick(now);
            }
        }
        while let Some(output) = mesh.poll() {
            if let Output::Request { gossip, .. } = output {
                is_bounded(&gossip);
            }
        }
        assert!(mesh.links() <= most + MAX_PASSING);
        let relays = mesh.relays(now);
        assert!(relays.len() <= MAX_RELAYS);
        assert_eq!(
            relays[0].entry.public_key,
            SimulatedKeys::new(0).public_key(),
            "its own entry stays its own"
        );
    }
});
