//! Starts a relay: opens its parts in order, each with one function of [`wiring`](crate::wiring).

use std::sync::Arc;

use sdk_relay_bip352::Engine;
use sdk_relay_config::{Config, DataDir, Loader};
use sdk_relay_detect::begin_log;
use sdk_relay_events::Hub;
use sdk_relay_platform::clock;
use sdk_relay_service::{data_files, preflight};
use sdk_relay_store::EventLog;
use sdk_relay_telemetry::{LogTap, register_build};
use sdk_relay_transport::{Ports, Tls};

use crate::relay::{Parts, Relay};
use crate::timeouts::Timeouts;
use crate::wiring::chain::{follow, open_source, spawn_miner};
use crate::wiring::detect::{self, start_detection};
use crate::wiring::dev::dev_tools;
use crate::wiring::edges::serve;
use crate::wiring::index::open_indexing;
use crate::wiring::mesh::{open_mesh, spawn_mesh};
use crate::wiring::metrics::{Metrics, Registries};
use crate::wiring::service::{self, open_service};
use crate::wiring::sockets::open_sockets;
use crate::wiring::store::{open_store, recent_blocks};
use crate::wiring::wallet::open_wallet;
use crate::wiring::webhooks::{open_webhooks, spawn_webhooks};

impl Relay {
    /// Starts a relay. When this returns, its ports are open; `/health/ready` answers when it follows the tip.
    pub async fn start(loader: Loader, config: Config, log: LogTap) -> anyhow::Result<Self> {
        let engine = Arc::new(config.scanner);
        Self::start_with(loader, config, log, engine, &Ports::default(), Timeouts::default()).await
    }

    /// The same with another engine than the configured one, the sockets of the relay before it, and time limits.
    pub async fn start_with(
        loader: Loader,
        config: Config,
        log: LogTap,
        engine: Arc<dyn Engine>,
        ports: &Ports,
        timeouts: Timeouts,
    ) -> anyhow::Result<Self> {
        let started = clock::monotonic();
        preflight::check(&config)?;
        let data_dir = DataDir::open(&config.data_dir)?;
        if !data_dir.was_used() {
            // A mistyped --data-dir shows here, and not in a wallet that is missing.
            tracing::info!(path = %data_dir.path().display(), "the data directory is new: no relay has used it before");
        }
        data_files::restrict_access(data_dir.path());
        let tls = Tls::open(&config)?;
        let engine_name = engine.name();
        let store = Arc::new(open_store(&data_dir, &config).await?);
        let source = open_source(&config)?;
        let sockets = open_sockets(ports, &config)?;
        // After what a wrong configuration fails at: a start that is refused must not create a wallet.
        let wallet = open_wallet(engine, data_dir.path(), &config)?;
        let (ws_addr, http_addr) = (sockets.ws_addr, sockets.http_addr);
        let grpc_addr = sockets.grpc.as_ref().map(|(_, address)| *address);
        begin_log(&*store, &*source.chain).await?;
        let recent = recent_blocks(&store)?;
        let hub = Arc::new(Hub::new(Arc::clone(&store))?);
        let mut registries = Registries::default();
        register_build(&mut registries.public, config.network.name(), engine_name);
        source.register(&mut registries);
        let metrics = Metrics::new(recent.last().map(|block| block.height), &config, &mut registries);
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let listens_on = format!("{scheme}://{ws_addr}");
        let (mesh, orders) = open_mesh(
            &config,
            data_dir.path(),
            &listens_on,
            wallet.receiver(),
            Arc::clone(&store),
            &metrics.mesh,
            timeouts.mesh,
        )?;

        let webhooks = open_webhooks(
            &config,
            data_dir.path(),
            Arc::clone(&store) as Arc<dyn EventLog>,
            &hub,
            &metrics.webhooks,
            timeouts.webhooks,
        )?;

        let parts = Parts::default();
        let supervisor = &parts.supervisor;
        let starting = supervisor.start_guard();
        let (followed, events) = follow(&source, recent, supervisor);
        let mut indexing = open_indexing(
            &config,
            data_dir.path(),
            &source,
            &followed,
            &wallet.scanner,
            &mut registries.public,
            supervisor,
        )?;
        let input = detect::Input {
            config: &config,
            source: &source,
            events,
            store,
            hub: Arc::clone(&hub),
            wallet: &wallet,
            index: indexing.index.clone(),
            metrics: &metrics,
        };
        let (detection, node_wallet) = start_detection(input, parts.stop.clone(), supervisor)?;
        spawn_miner(&source, &config, supervisor);
        indexing.spawn(supervisor);
        metrics.spawn(supervisor, &source.chain, followed.clone());
        let dev = dev_tools(&config, &source, node_wallet);
        let served = service::Parts {
            chain: source.chain,
            hub,
            detection,
            index: indexing.index,
            oracle: indexing.oracle,
            mesh,
            webhooks,
            dev,
            log,
            metrics,
            tls: tls.clone(),
        };
        let service = open_service(
            served,
            (loader, config),
            wallet.receiver(),
            followed,
            started,
            supervisor,
            timeouts,
        );
        spawn_mesh(
            &service.parts.mesh,
            orders,
            &service.host,
            &service.parts.hub,
            supervisor,
        );
        spawn_webhooks(&service.parts.webhooks, supervisor);
        let servers = serve(&service, sockets, tls.clone(), registries, supervisor)?;
        starting.started();
        Ok(Self {
            service,
            servers,
            ws_addr,
            http_addr,
            grpc_addr,
            tls,
            parts,
            _data_dir: data_dir,
        })
    }
}
