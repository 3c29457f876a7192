//! The mesh, and the reports on topics.

use std::sync::Arc;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::hex::DisplayHex;
use sdk_relay_bip352::Receiver;
use sdk_relay_events::Hub;
use sdk_relay_mesh_net::{Host, Mesh, Orders, REPORT_TOPICS, Syncs};
use sdk_relay_supervisor::Supervisor;

/// Runs the mesh and the reports.
pub(crate) fn spawn_mesh(
    supervisor: &Supervisor,
    host: &Arc<dyn Host>,
    mesh: &Arc<Mesh>,
    orders: Orders,
    syncs: &Arc<Syncs>,
    hub: &Arc<Hub>,
) {
    for (topic, _) in REPORT_TOPICS {
        let reports = Arc::clone(syncs).report_regularly(Arc::clone(host), Arc::clone(hub), topic);
        supervisor.task("reports", reports);
    }
    supervisor.task(
        "mesh",
        sdk_relay_mesh_net::run(Arc::clone(host), Arc::clone(mesh), orders),
    );
    supervisor.task("sync history", Arc::clone(&syncs.history).save_regularly());
}

/// A name that stays the same and that no other relay has: part of a hash of the wallet's scan key.
pub(crate) fn default_relay_id(own: &Receiver) -> String {
    let hash = sha256::Hash::hash(&own.scan_public_key().serialize());
    let short: Vec<u8> = hash.as_byte_array().iter().take(4).copied().collect();
    format!("relay-{}", short.to_lower_hex_string())
}
