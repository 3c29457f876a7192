//! Names of hosts.

/// Normal form of a DNS name, for comparison: in lower case, without a trailing dot.
pub fn normal_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
