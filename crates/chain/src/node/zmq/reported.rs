//! The address at which the node publishes ZMQ messages, as it reports it (`getzmqnotifications`).

use std::net::IpAddr;

use serde_json::json;

use super::frame::Topic;
use super::topics::Notifier;
use crate::rpc::{RpcClient, RpcError, code};

/// For the log: how to have changes announced.
pub(super) const ADVICE: &str = "the node publishes no ZMQ messages: it is polled once a second; to receive payments immediately, add \
    zmqpubsequence=tcp://127.0.0.1:29000, zmqpubrawtx=tcp://127.0.0.1:29000 and zmqpubhashblock=tcp://127.0.0.1:29000 \
    to its bitcoin.conf and restart it; if it is to be polled, set bitcoin_core.zmq_url to \"off\"";

/// Requests the address; `None` if the node publishes none of the topics.
pub(super) async fn address(rpc: &RpcClient) -> Result<Option<String>, RpcError> {
    match rpc.call::<Vec<Notifier>>("getzmqnotifications", json!([])).await {
        Ok(notifiers) => Ok(best(&notifiers, rpc.at())),
        // Built without ZMQ.
        Err(error) if error.server().is_some_and(|e| e.code == code::METHOD_NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The address with the topic `sequence`, or else with most of the topics. `node` is `HOST:PORT` of its RPC interface.
pub(super) fn best(notifiers: &[Notifier], node: &str) -> Option<String> {
    let topics_at = |address: &str| {
        let here = notifiers.iter().filter(|n| n.address == address);
        let topics: Vec<_> = here.filter_map(Notifier::topic).collect();
        (topics.contains(&Topic::Sequence), topics.len())
    };
    let usable = notifiers
        .iter()
        .filter(|n| n.topic().is_some())
        .filter_map(|n| Some((topics_at(&n.address), reachable(&n.address, node)?)));
    // The first of equals.
    let best = usable.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map(|(_, url)| url)
}

/// The address that reaches a bound one from here. All addresses of the node's machine, its loopback addresses and its
/// interfaces are those of its RPC interface. `None` for anything but TCP, which the relay does not speak.
fn reachable(bound: &str, node: &str) -> Option<String> {
    let (host, port) = bound.strip_prefix("tcp://")?.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_specific = ip.is_ok_and(|ip| !ip.is_unspecified() && !ip.is_loopback());
    let host = if is_specific {
        host
    } else {
        node.rsplit_once(':')
            .filter(|(_, port)| port.parse::<u16>().is_ok())
            .map_or(node, |(host, _)| host)
    };
    Some(format!("tcp://{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notifiers(list: &[(&str, &str)]) -> Vec<Notifier> {
        let notifier = |(kind, address): &(&str, &str)| Notifier {
            kind: (*kind).to_owned(),
            address: (*address).to_owned(),
        };
        list.iter().map(notifier).collect()
    }

    #[test]
    fn the_address_with_the_topic_sequence_comes_first() {
        let of = |list: &[(&str, &str)]| best(&notifiers(list), "127.0.0.1:8332");
        assert_eq!(of(&[]), None);
        assert_eq!(
            of(&[("pubrawblock", "tcp://127.0.0.1:1"), ("pubhashtx", "tcp://127.0.0.1:1")]),
            None
        );
        assert_eq!(of(&[("pubsequence", "ipc:///tmp/zmq")]), None);
        let both = [
            ("pubrawtx", "tcp://127.0.0.1:1"),
            ("pubhashblock", "tcp://127.0.0.1:1"),
            ("pubsequence", "tcp://127.0.0.1:2"),
        ];
        assert_eq!(of(&both).as_deref(), Some("tcp://127.0.0.1:2"));
        assert_eq!(of(&both[..2]).as_deref(), Some("tcp://127.0.0.1:1"));
        let more = [
            ("pubrawtx", "tcp://127.0.0.1:1"),
            ("pubrawtx", "tcp://127.0.0.1:2"),
            ("pubhashblock", "tcp://127.0.0.1:2"),
        ];
        assert_eq!(of(&more).as_deref(), Some("tcp://127.0.0.1:2"));
    }

    #[test]
    fn addresses_of_the_machine_of_the_node_are_reached_at_its_host() {
        for (bound, node, reached) in [
            ("tcp://0.0.0.0:29000", "127.0.0.1:8332", "tcp://127.0.0.1:29000"),
            ("tcp://0.0.0.0:29000", "node.local:8332", "tcp://node.local:29000"),
            ("tcp://*:29000", "10.0.0.5:8332", "tcp://10.0.0.5:29000"),
            ("tcp://127.0.0.1:29000", "bitcoin:8332", "tcp://bitcoin:29000"),
            ("tcp://[::]:29000", "[::1]:8332", "tcp://[::1]:29000"),
            ("tcp://eth0:29000", "node", "tcp://node:29000"),
            ("tcp://192.0.2.7:29000", "10.0.0.5:8332", "tcp://192.0.2.7:29000"),
            (
                "tcp://[2001:db8::7]:29000",
                "10.0.0.5:8332",
                "tcp://[2001:db8::7]:29000",
            ),
        ] {
            assert_eq!(reachable(bound, node).as_deref(), Some(reached), "{bound} {node}");
        }
        for bound in ["ipc:///tmp/x", "tcp://127.0.0.1", "tcp://127.0.0.1:x"] {
            assert_eq!(reachable(bound, "127.0.0.1:8332"), None, "{bound}");
        }
    }
}
