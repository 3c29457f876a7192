//! Entries that peers send, and configured relays that do not answer.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh::limits::{MAX_ENTRIES, MAX_ENTRY_BYTES};
use sdk_relay_mesh::{Config, LinkId, Output};
use sdk_relay_mesh_sim::lone;
use sdk_relay_protocol::mesh::{Gossip, RelayEntry, RelayId};

use crate::peers::{ROUND, entry, link, mesh, send, signed};

#[test]
fn a_forged_entry_ends_the_link() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    let mut forged = RelayEntry::clone(&entry(2, 1, 1, 2));
    forged.address = "elsewhere.example.com:1".to_owned();
    send(&mut mesh, ROUND, 1, vec![Arc::new(forged)]);
    assert!(mesh.relay(ROUND, "relay-2").is_none());
    let outputs: Vec<_> = std::iter::from_fn(|| mesh.poll()).collect();
    assert!(
        outputs
            .iter()
            .any(|output| matches!(output, Output::Close { link: LinkId(1), .. }))
    );
}

/// An entry in which every string has its maximum length.
fn longest_entry(n: u64) -> Arc<RelayEntry> {
    let mut entry = RelayEntry::clone(&entry(n, u64::MAX, u64::MAX, n));
    entry.relay_id = RelayId::new(&format!("{n:0>64}")).unwrap();
    entry.address = format!("{n:a>290}.net:8090");
    entry.software_version = "1".repeat(64);
    entry.capabilities = vec!["c".repeat(32); 16];
    signed(entry, n)
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
        send(&mut mesh, ROUND, introducer, entries);
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
    send(&mut mesh, ROUND, 1, vec![entry(2, 2, 5, 2)]);
    send(&mut mesh, ROUND, 1, vec![entry(2, 2, 4, 2)]);
    send(&mut mesh, ROUND, 1, vec![entry(2, 1, 9, 2)]);
    assert_eq!(mesh.relay(ROUND, "relay-2").unwrap().entry.version, 5);
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
