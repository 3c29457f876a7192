//! The start of a relay: opens everything in order, and puts it together.

use std::sync::Arc;
use std::time::Instant;

use sdk_relay_bip352::Engine;
use sdk_relay_config::{Config, Loader};
use sdk_relay_detect::begin_log;
use sdk_relay_telemetry::LogTap;
use sdk_relay_transport::{Ports, Tls};
use tokio_util::sync::CancellationToken;

use super::{Parts, Relay};
use crate::wiring::{Figures, Foundation, Service, Sockets, follow, open_index, open_oracle, start_detection};

impl Relay {
    /// Starts a relay. When this returns, both ports are open; `/health/ready` tells when it follows the tip.
    pub async fn start(loader: Loader, config: Config, log: LogTap) -> anyhow::Result<Self> {
        let engine = Arc::new(config.scanner);
        Self::start_with(loader, config, log, engine, &Ports::default()).await
    }

    /// The same with another engine than the configured one, and the sockets of the relay before it.
    pub async fn start_with(
        loader: Loader,
        config: Config,
        log: LogTap,
        engine: Arc<dyn Engine>,
        ports: &Ports,
    ) -> anyhow::Result<Self> {
        let started = Instant::now();
        let tls = Tls::open(&config)?;
        let base = Foundation::open(&config, engine)?;
        let sockets = Sockets::open(&config, ports)?;
        begin_log(&base.store, &*base.source.chain).await?;
        let mut figures = Figures::new();

        let parts = Parts::default();
        let supervisor = &parts.supervisor;
        let starting = supervisor.start_guard();
        let chain = follow(&base, supervisor)?;
        let oracle = open_oracle(&config, &mut figures.registry)?;
        let indexing = open_index(&config, &base, &chain.status, supervisor)?;
        let (index, builder) = indexing.map_or((None, None), |(index, builder)| {
            (Some(index), Some(builder.with_oracle(oracle.clone())))
        });
        let detecting = start_detection(&config, &base, &figures, chain, index, parts.stop.clone(), supervisor)?;
        let opened = Service::open(loader, config, log, &base, detecting, ());
        todo!()
    }
}
