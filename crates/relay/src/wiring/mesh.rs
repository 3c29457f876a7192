//! The mesh, and the reports on topics.

use std::path::Path;
use std::sync::Arc;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::hex::DisplayHex;
use sdk_relay_bip352::Receiver;
use sdk_relay_config::Config;
use sdk_relay_events::Hub;
use sdk_relay_mesh_net::{History, Host, Mesh, MeshMetrics, Orders, REPORT_TOPICS, Syncs, Timeouts, public_key};
use sdk_relay_service::CAPABILITIES;
use sdk_relay_store::Store;
use sdk_relay_supervisor::Supervisor;

/// The mesh and the records of syncs, open.
pub(crate) struct MeshHandles {
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) syncs: Arc<Syncs>,
    pub(crate) relay_id: String,
}

/// Opens the mesh of a relay whose WebSocket API listens on `listens_on`. [`spawn_mesh`] runs it.
pub(crate) fn open_mesh(
    config: &Config,
    data_dir: &Path,
    listens_on: &str,
    own: Option<&Receiver>,
    store: Arc<Store>,
    metrics: &Arc<MeshMetrics>,
    timeouts: Timeouts,
) -> anyhow::Result<(MeshHandles, Orders)> {
    let relay_id = match (&config.relay_id, own) {
        (Some(configured), _) => configured.clone(),
        (None, Some(own)) => default_relay_id(&own.scan_public_key().serialize()),
        (None, None) => default_relay_id(public_key(config.mesh.identity.as_deref(), data_dir)?.as_bytes()),
    };
    let history = Arc::new(History::open(store)?);
    let syncs = Arc::new(Syncs::new(relay_id.clone(), history, Arc::clone(metrics)));
    let (mesh, orders) = Mesh::open(
        config,
        data_dir,
        listens_on,
        &CAPABILITIES,
        Arc::clone(&syncs),
        timeouts,
    )?;
    let handles = MeshHandles { mesh, syncs, relay_id };
    Ok((handles, orders))
}

/// Runs the mesh, the reports on topics, and the writing of the sync history.
pub(crate) fn spawn_mesh(
    MeshHandles { mesh, syncs, .. }: &MeshHandles,
    orders: Orders,
    host: &Arc<dyn Host>,
    hub: &Arc<Hub>,
    supervisor: &Supervisor,
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

/// A name that stays the same and that no other relay has: part of a hash of a public key.
fn default_relay_id(key: &[u8]) -> String {
    let hash = sha256::Hash::hash(key);
    let short: Vec<u8> = hash.as_byte_array().iter().take(4).copied().collect();
    format!("relay-{}", short.to_lower_hex_string())
}
