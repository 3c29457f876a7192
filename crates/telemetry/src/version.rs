//! The program's version.

/// The program's own version, that of all its crates; `API_VERSION` of the protocol is that of its messages.
pub const SOFTWARE_VERSION: &str = env!("CARGO_PKG_VERSION");
