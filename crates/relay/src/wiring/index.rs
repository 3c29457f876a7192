//! The tweak index, and the BlindBit Oracle that it is compared with.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use prometheus_client::registry::Registry;
use sdk_relay_bip352::Scanner;
use sdk_relay_chain::follower::FollowStatus;
use sdk_relay_config::{Config, IndexConfig};
use sdk_relay_index::oracle::Oracle;
use sdk_relay_index::{Builder, Index, Pool};
use sdk_relay_service::Failure;
use sdk_relay_store::TweakIndex;
use sdk_relay_supervisor::Supervisor;
use tokio::sync::watch;

use super::chain::Source;

/// Directory of the tweak index in the data directory.
const INDEX_DIRECTORY: &str = "index";

/// The BlindBit Oracle of the configuration, with its counters in the registry.
pub(crate) fn open_oracle(config: &Config, registry: &mut Registry) -> anyhow::Result<Option<Arc<Oracle>>> {
    let Some(url) = &config.blindbit_url else {
        return Ok(None);
    };
    let oracle = Oracle::new(url, config.network).context("blindbit.url")?;
    oracle.counters().register(registry);
    Ok(Some(Arc::new(oracle)))
}

/// The index, and what builds it.
pub(crate) fn open_index(
    wanted: IndexConfig,
    config: &Config,
    data_dir: &Path,
    source: &Source,
    followed: watch::Receiver<FollowStatus>,
    supervisor: &Supervisor,
    scanner: Scanner,
) -> anyhow::Result<(Index, Builder)> {
    let store = TweakIndex::open(
        &data_dir.join(INDEX_DIRECTORY),
        config.network.name(),
        wanted.start_height,
    )?;
    let supervisor = supervisor.clone();
    let pool = Pool::with_panic_handler(wanted.scan_threads, move || {
        supervisor.fail(Failure {
            part: "index threads",
            panicked: true,
        });
    })?;
    let (store, pool) = (Arc::new(store), Arc::new(pool));
    let (builder, status, figures) = Builder::new(
        Arc::clone(&store),
        Arc::clone(&source.chain),
        Arc::clone(&pool),
        scanner,
        followed,
    )?;
    let index = Index {
        store,
        status,
        figures,
        pool,
    };
    Ok((index, builder))
}
