//! The program's version.

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use sdk_relay_protocol::API_VERSION;

/// The program's own version, that of all its crates; `API_VERSION` of the protocol is that of its messages.
pub const SOFTWARE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Registers `sdk_relay_build_info`. `network`: the chain that the relay follows; `scanner`: the instruction set that
/// it scans with.
pub fn register_build(registry: &mut Registry, network: &str, scanner: &str) {
    let labels = [
        ("version", SOFTWARE_VERSION),
        ("api_version", API_VERSION),
        ("network", network),
        ("scanner", scanner),
    ];
    registry.sub_registry_with_prefix("sdk_relay").register(
        "build",
        "Version of the program and of its API, network, and instruction set of the scanner",
        Info::new(labels.map(|(name, value)| (name, value.to_owned()))),
    );
}
