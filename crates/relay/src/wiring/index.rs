//! The tweak index, and the BlindBit Oracle that it is compared with.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use prometheus_client::registry::Registry;
use sdk_relay_bip352::Scanner;
use sdk_relay_chain::follower::FollowStatus;
use sdk_relay_config::Config;
use sdk_relay_console::show_progress;
use sdk_relay_index::oracle::Oracle;
use sdk_relay_index::{Builder, Index, Pool};
use sdk_relay_service::Failure;
use sdk_relay_service::data_files::INDEX_DIRECTORY;
use sdk_relay_store::TweakIndex;
use sdk_relay_supervisor::Supervisor;
use tokio::sync::watch;

use super::chain::Source;

/// The BlindBit Oracle of the configuration, with its counters in the registry.
fn open_oracle(config: &Config, registry: &mut Registry) -> anyhow::Result<Option<Arc<Oracle>>> {
    let Some(url) = &config.blindbit_url else {
        return Ok(None);
    };
    let oracle = Oracle::new(url, config.blindbit_proxy.clone(), config.network).context("blindbit.url")?;
    oracle.counters().register(registry);
    Ok(Some(Arc::new(oracle)))
}

/// The tweak index and the oracle, where the configuration has them.
pub(crate) struct Indexing {
    pub(crate) index: Option<Index>,
    pub(crate) oracle: Option<Arc<Oracle>>,
    builder: Option<Builder>,
}

/// Opens them. [`Indexing::spawn`] runs what builds and compares.
pub(crate) fn open_indexing(
    config: &Config,
    data_dir: &Path,
    source: &Source,
    followed: &watch::Receiver<FollowStatus>,
    scanner: &Scanner,
    registry: &mut Registry,
    supervisor: &Supervisor,
) -> anyhow::Result<Indexing> {
    let oracle = open_oracle(config, registry)?;
    let Some(wanted) = config.index else {
        return Ok(Indexing {
            index: None,
            oracle,
            builder: None,
        });
    };
    let store = Arc::new(TweakIndex::open(
        &data_dir.join(INDEX_DIRECTORY),
        config.network.name(),
        wanted.start_height,
    )?);
    let for_panics = supervisor.clone();
    let pool = Arc::new(Pool::with_panic_handler(wanted.scan_threads, move || {
        for_panics.fail(Failure {
            part: "index threads",
            panicked: true,
        });
    })?);
    let (builder, status, figures) = Builder::new(
        Arc::clone(&store),
        Arc::clone(&source.chain),
        Arc::clone(&pool),
        scanner.clone(),
        followed.clone(),
    )?;
    let index = Index {
        store,
        status,
        figures,
        pool,
    };
    Ok(Indexing {
        index: Some(index),
        builder: Some(builder.with_oracle(oracle.clone())),
        oracle,
    })
}

impl Indexing {
    /// Builds the index, shows its progress, and polls the oracle.
    pub(crate) fn spawn(&mut self, supervisor: &Supervisor) {
        if let Some(oracle) = &self.oracle {
            supervisor.task("oracle", Arc::clone(oracle).run());
        }
        if let Some(builder) = self.builder.take() {
            supervisor.task("index", builder.run());
        }
        if let Some(index) = &self.index {
            supervisor.task("index progress", show_progress(index.status.clone()));
        }
    }
}
