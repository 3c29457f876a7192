//! Listen addresses that exclude each other.

use std::net::{IpAddr, SocketAddr};

/// Whether not both can be listened on.
pub(super) fn share_a_port(one: SocketAddr, other: SocketAddr) -> bool {
    // An unspecified address binds the port on all addresses; `::` includes those of IPv4.
    let share = |ip: IpAddr, other: IpAddr| ip == other || (ip.is_unspecified() && (ip.is_ipv6() || other.is_ipv4()));
    one.port() != 0 && one.port() == other.port() && (share(one.ip(), other.ip()) || share(other.ip(), one.ip()))
}
