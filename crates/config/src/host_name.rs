//! Names of hosts.

/// A DNS name as it is compared: in lower case, without a dot at the end.
pub fn normal_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
