//! No message exceeds the limit of clients, whatever it contains.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh::limits::{BUCKETS, INTRODUCED_AT_FIRST, MAX_ACCUSATIONS, MAX_ENTRIES, MAX_HAVE, MAX_PROBES};
use sdk_relay_mesh::{Config, LinkId, Mesh, Output};
use sdk_relay_mesh_sim::{SimulatedKeys, lone};
use sdk_relay_protocol::mesh::{Gossip, Have, Heard, RelayEntry, RelayId, RelayStatus};
use sdk_relay_protocol::{
    LARGEST_MESSAGE, ServerMessage, StatePayload, StateReport, SyncMessage, SyncPayload, SyncResponse, SyncType, encode,
};

use crate::peers::{ROUND, accusation, peer, signed};

/// The longest name: JSON escapes its quotes.
fn longest(n: u64) -> RelayId {
    RelayId::new(&format!("{n:\">64}")).unwrap()
}

fn entry(n: u64) -> Arc<RelayEntry> {
    let entry = RelayEntry {
        relay_id: longest(n),
        public_key: String::new(),
        address: "\\".repeat(300),
        incarnation: u64::MAX,
        version: u64::MAX,
        status: RelayStatus::Degraded,
        software_version: "\"".repeat(64),
        capabilities: vec!["\"".repeat(32); 16],
        started: u64::MAX,
        signature: String::new(),
    };
    signed(entry, n)
}

fn link(mesh: &mut Mesh<SimulatedKeys>, n: u64) {
    mesh.link_up(ROUND, LinkId(n), peer(n, None));
}

fn announcement(names: impl Iterator<Item = u64>) -> Gossip {
    Gossip {
        batch: 1,
        have: names.map(|n| Have(longest(n), u64::MAX, u64::MAX, 1)).collect(),
        ..Gossip::default()
    }
}

/// Bytes of the message around the gossip, with the longest strings.
fn frame(gossip: Gossip, response: bool) -> usize {
    let (relay_id, message_id) = ("\"".repeat(64), "\u{1}".repeat(128));
    let payload = SyncPayload::State(StatePayload {
        state: StateReport {
            uptime: u64::MAX,
            version: "1".repeat(32),
            network: "mainnet".to_owned(),
            status: "degraded".to_owned(),
            last_block: Some(u32::MAX),
            connections: u64::MAX,
            known_relays: u64::MAX,
            mesh_connections: u64::MAX,
            software_version: "1".repeat(64),
        },
        gossip: Some(Box::new(gossip)),
    });
    let (sync_type, timestamp) = (SyncType::StateSync, u64::MAX);
    let message = match response {
        false => ServerMessage::Sync(SyncMessage {
            sync_type,
            relay_id,
            payload,
            timestamp,
            message_id,
        }),
        true => ServerMessage::SyncResponse(SyncResponse {
            sync_type,
            relay_id,
            payload,
            timestamp,
            in_reply_to: message_id.clone(),
            message_id,
        }),
    };
    encode(&message).unwrap().len()
}

/// Nine peers introduce 1,152 relays with the longest entries, all of them accused; the tenth requests everything, and
/// announces a thousand more.
#[test]
fn a_message_with_all_lists_at_their_limits_fits_the_message_limit() {
    let mut mesh = lone(Config {
        max_links: 40,
        ..Config::default()
    });
    let (each, peers) = (INTRODUCED_AT_FIRST as u64, 9);
    let known = 1_000..1_000 + each * peers;
    let by = known.start + 1;
    for n in 0..peers {
        link(&mut mesh, n + 1);
        let its = known.start + n * each..known.start + (n + 1) * each;
        let entries = its.clone().map(entry).collect();
        mesh.request(ROUND, LinkId(n + 1), Box::new(announcement(its.clone())));
        let sent = Gossip {
            entries,
            accusations: its.map(|n| accusation(&entry(n), longest(by), by)).collect(),
            ..Gossip::default()
        };
        mesh.request(ROUND, LinkId(n + 1), Box::new(sent));
    }
    assert_eq!(mesh.relays(ROUND).len() as u64, 1 + each * peers);
    link(&mut mesh, 99);
    let all = |first: u64, count: usize| (first..first + count as u64).map(longest).collect::<Vec<_>>();
    let mut now = ROUND;
    let (mut asked, mut longest_frame, mut parts) = (None, 0, Gossip::default());
    // What does not fit is sent later: after a few exchanges every list is at its limit at the same time.
    for exchange in 0..6 {
        now += Duration::from_secs(5);
        let everything = || {
            let first = known.start + 40 * exchange;
            Box::new(Gossip {
                digest: exchange,
                want: all(first, MAX_ENTRIES),
                doubt: all(first, MAX_ACCUSATIONS),
                buckets: vec![u64::MAX - exchange; BUCKETS],
                probe: all(known.start, MAX_PROBES),
                heard: all(known.start, MAX_PROBES)
                    .into_iter()
                    .map(|id| Heard(id, u64::MAX))
                    .collect(),
                ..announcement(100_000..100_000 + MAX_HAVE as u64)
            })
        };
        let mut frames = Vec::new();
        match asked.take() {
            Some(token) => mesh.response(now, LinkId(99), token, everything()),
            None => frames.push((mesh.request(now, LinkId(99), everything()), true)),
        }
        mesh.tick(now + ROUND / 5);
        while let Some(output) = mesh.poll() {
            match output {
                Output::Request {
                    link: LinkId(99),
                    token,
                    gossip,
                } => {
                    asked = Some(token);
                    frames.push((*gossip, false));
                }
                Output::Close { link, reason } => assert_ne!(link, LinkId(99), "{reason:?}"),
                _ => {}
            }
        }
        for (gossip, response) in frames {
            parts.have.extend(gossip.have.clone());
            parts.want.extend(gossip.want.clone());
            parts.doubt.extend(gossip.doubt.clone());
            parts.entries.extend(gossip.entries.clone());
            parts.accusations.extend(gossip.accusations.clone());
            longest_frame = longest_frame.max(frame(gossip, response));
        }
    }
    let counts = [
        parts.have.len(),
        parts.want.len(),
        parts.doubt.len(),
        parts.entries.len(),
        parts.accusations.len(),
    ];
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    assert!(
        (LARGEST_MESSAGE * 3 / 4..=LARGEST_MESSAGE).contains(&longest_frame),
        "{longest_frame} bytes, {counts:?}"
    );
}
