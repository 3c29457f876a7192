//! Ports for servers that must keep theirs over a restart.

use std::net::{Ipv4Addr, TcpListener};

use bitcoin::secp256k1::rand::{self, Rng};

/// Below the range from which the kernel takes ports for outgoing connections (32768 upwards on Linux). A port of that
/// range could be lost while its server is down, even to a client that connects to it: on loopback such a client can
/// end up connected to itself.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// How many ports to look at before giving up: with most of the range free, the chance to need this many is nil.
const LOOKS: usize = 100;

/// Different ports of 127.0.0.1 on which nobody listens now. Somebody may take one before the caller does: try again
/// then.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let candidates = std::iter::repeat_with(|| rand::thread_rng().gen_range(RANGE)).take(LOOKS);
    let bound = candidates.filter_map(|port| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .ok()
            .map(|held| (port, held))
    });
    // All are held until the last is found, so that none is found twice.
    let bound: Vec<_> = bound.take(N).collect();
    let ports: Vec<_> = bound.iter().map(|(port, _)| *port).collect();
    ports
        .try_into()
        .unwrap_or_else(|_| panic!("no {N} free ports among {LOOKS} of 127.0.0.1:{RANGE:?}"))
}
