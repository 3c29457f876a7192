//! Whatever a peer sends: no panic, no growth beyond the limits, no falsified state of others.

use std::time::Duration;

use proptest::prelude::*;
use sdk_relay_mesh::limits::{MAX_DIALS, MAX_ENTRIES, MAX_HAVE, MAX_PASSING, MAX_RELAYS};
use sdk_relay_mesh::{DialId, Keys, LinkId, Output, Peer, Token};
use sdk_relay_mesh_sim::SimulatedKeys;
use sdk_relay_protocol::mesh::{Gossip, Have, Heard, RelayId, RelayStatus};

use crate::peers::{accusation_by, entry, id, mesh};

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
                    .map(|(of, i, v, by)| accusation_by(&entry(of, i, v, of), by))
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
