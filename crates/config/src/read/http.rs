//! Web pages, names of the relay, and proxies.

use super::at_most;
use crate::host_name::normal_name;
use crate::ip_network::{IpNetwork, WrongIpNetwork};
use crate::value::{Value, Wrong};

/// Largest number of host names: the host of each request is compared with all of them.
const MAX_HOSTS: usize = 64;
/// Longest DNS name (RFC 1035).
const MAX_NAME: usize = 253;
/// Largest number of networks of trusted proxies; large CDNs publish about twenty.
const MAX_PROXIES: usize = 256;

/// Origins of pages, without a path.
pub(crate) fn origins(value: &Value) -> Result<Vec<String>, Wrong> {
    for origin in value.as_list() {
        let host = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"));
        if host.is_none_or(|h| h.is_empty() || h.contains(['/', '*', '@']) || !h.is_ascii()) {
            return Err(Wrong::entry(origin));
        }
    }
    Ok(value.as_list().to_vec())
}

/// DNS names of this relay.
pub(crate) fn hosts(value: &Value) -> Result<Vec<String>, Wrong> {
    let mut hosts = Vec::new();
    for host in value.as_list() {
        let name = normal_name(host);
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(fits) {
            return Err(Wrong::entry(host));
        }
        hosts.push(name);
    }
    at_most(
        hosts.len(),
        MAX_HOSTS,
        "each request's host is compared with all of them",
    )?;
    Ok(hosts)
}

/// The networks of reverse proxies.
pub(crate) fn proxies(value: &Value) -> Result<Vec<IpNetwork>, Wrong> {
    let parse = |text: &String| text.parse().map_err(|_: WrongIpNetwork| Wrong::entry(text));
    let networks: Vec<IpNetwork> = value.as_list().iter().map(parse).collect::<Result<_, _>>()?;
    at_most(networks.len(), MAX_PROXIES, "combine them into networks")?;
    Ok(networks)
}
