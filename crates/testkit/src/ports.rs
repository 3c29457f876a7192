//! Ports of servers that keep them over a restart.

use std::net::{Ipv4Addr, TcpListener};

use bitcoin::secp256k1::rand::{self, Rng};

/// Below the range from which the kernel takes ports for outgoing connections (32768 upwards on Linux). A port of that
/// range could be lost while its server is down, even to a client that connects to it: on loopback such a client can
/// end up connected to itself.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Number of ports to try: with most of the range free, this many are never needed.
const MAX_TRIES: usize = 100;

/// Different free ports of 127.0.0.1. Another process may take one before the caller does: then retry.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let candidates = std::iter::repeat_with(|| rand::thread_rng().gen_range(RANGE)).take(MAX_TRIES);
    let bound = candidates.filter_map(|port| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .ok()
            .map(|held| (port, held))
    });
    // All are held until the last is found, so that no port is returned twice.
    let bound: Vec<_> = bound.take(N).collect();
    let ports: Vec<_> = bound.iter().map(|(port, _)| *port).collect();
    ports
        .try_into()
        .unwrap_or_else(|_| panic!("no {N} free ports among {MAX_TRIES} of 127.0.0.1:{RANGE:?}"))
}
