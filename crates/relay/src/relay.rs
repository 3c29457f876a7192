//! A relay from start to end: opens everything in order, wires it, and takes it down in the reverse order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use prometheus_client::registry::Registry;
use sdk_relay_bip352::{Engine, EngineError, Scanner};
use sdk_relay_chain::BlockRef;
use sdk_relay_chain::follower::{Follower, FollowerOptions, Start};
use sdk_relay_config::{Config, DataDir, Loader};
use sdk_relay_console::show_progress;
use sdk_relay_detect::{NodeWalletKeeper, begin_log, own_wallet};
use sdk_relay_events::Hub;
use sdk_relay_http::Front;
use sdk_relay_mesh_net::{History, Host, Mesh, Syncs};
use sdk_relay_protocol::CloseCode;
use sdk_relay_service::dev::{DevTools, Faucet};
use sdk_relay_service::{
    CAPABILITIES, DRAIN_WITHIN, Failure, Identity, MeshHost, Restart, Settings, Sources, Status, node_figures,
    preflight,
};
use sdk_relay_store::EventLog;
use sdk_relay_supervisor::Supervisor;
use sdk_relay_telemetry::{Counters, LogTap, NodeFigures, Process, Rate, Vitals};
use sdk_relay_transport::http_runtime::HttpRuntime;
use sdk_relay_transport::{InputBudget, ListenerState, Ports, Tls, TlsError, serve_http};
use sdk_relay_ws::serve_websockets;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::wiring::{Kind, Service, default_relay_id, open_index, open_oracle, open_source, open_store, spawn_mesh};

/// Connections that were cut off get this long to drop what they hold.
const CUT_WITHIN: Duration = Duration::from_secs(1);
/// Tasks and threads get this long to end after that. A commit waits for the disk, which may never answer.
const JOIN_WITHIN: Duration = Duration::from_secs(5);

/// A running relay.
pub struct Relay {
    service: Service,
    websockets: Arc<sdk_relay_ws::Handles>,
    http_api: Front,
    ws_addr: SocketAddr,
    http_addr: SocketAddr,
    ending: watch::Sender<Option<CloseCode>>,
    tls: Option<Tls>,
    parts: Parts,
    _http_runtime: HttpRuntime,
    _data_dir: DataDir,
}

/// The relay's tasks and threads. Dropped, also where the start fails half-way, they end.
struct Parts {
    supervisor: Supervisor,
    /// Ends detection.
    stop: CancellationToken,
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.supervisor.abandon();
        self.stop.cancel();
    }
}

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
        preflight::check(&config)?;
        let data_dir = DataDir::open(&config.data_dir)?;
        let tls = Tls::open(&config)?;
        let scanner = Scanner::new(engine, log_scanner);
        let own = Arc::new(scanner.prepare(own_wallet::open(data_dir.path(), config.wallet.as_ref())?));
        let store = Arc::new(open_store(&data_dir, &config)?);
        let source = open_source(&config)?;
        ports.keep_only(&[config.ws_url, config.http_url]);
        let listen = |key: &str, address| {
            let listening = ports.listen(address);
            listening.map_err(|error| preflight::cannot_listen(&config, key, address, &error))
        };
        let (ws, http) = (listen("ws_url", config.ws_url)?, listen("http_url", config.http_url)?);
        let (ws_addr, http_addr) = (ws.local_addr()?, http.local_addr()?);

        begin_log(&*store, &*source.chain).await?;
        let recent: Vec<BlockRef> = store
            .recent_blocks()?
            .into_iter()
            .map(|(height, hash)| BlockRef { height, hash })
            .collect();
        let hub = Arc::new(Hub::new(Arc::clone(&store))?);
        let sync_history = Arc::new(History::open(Arc::clone(&store))?);
        let counters = Arc::new(Counters::default());
        let mut registry = Registry::default();
        counters.register(&mut registry);
        let mut private_registry = Registry::default();
        counters.watching.register(&mut private_registry);
        let vitals = Arc::new(Vitals::new(recent.last().map(|b| b.height)));

        let supervisor = Supervisor::default();
        let starting = supervisor.start_guard();
        let stop = CancellationToken::new();
        let parts = Parts {
            supervisor: supervisor.clone(),
            stop: stop.clone(),
        };
        let (follower, events) =
            Follower::spawn(Arc::clone(&source.chain), Start { recent }, FollowerOptions::default());
        let followed = follower.status();
        supervisor.task("follower", follower.ended());
        let (scripts, wallet_scripts) = match config.bitcoin_core.wallet {
            Some(_) if !config.standalone => {
                let (sender, receiver) = oneshot::channel();
                (Some(sender), Some(receiver))
            }
            _ => (None, None),
        };
        let oracle = open_oracle(&config, &mut registry)?;
        let (index, builder) = match config.index {
            Some(wanted) => {
                let (index, builder) = open_index(
                    wanted,
                    &config,
                    data_dir.path(),
                    &source,
                    followed.clone(),
                    &supervisor,
                    scanner.clone(),
                )?;
                (Some(index), Some(builder.with_oracle(oracle.clone())))
            }
            None => (None, None),
        };
        let for_detection = sdk_relay_detect::Parts {
            store,
            hub: Arc::clone(&hub),
            counters: Arc::clone(&counters),
            vitals: Arc::clone(&vitals),
            network: config.network,
            own: Arc::clone(&own),
            scanner,
            index: index.clone(),
            max_watches: config.max_watches,
            wallet_scripts,
        };
        let sdk_relay_detect::Started { detection, history } =
            sdk_relay_detect::start(for_detection, events, stop, &supervisor)?;

        let (node_wallet, wallet_handle) = watch::channel(None);
        let dev = config.network.is_for_development().then(|| {
            Arc::new(match &source.kind {
                Kind::Embedded(chain) => DevTools::Embedded(Arc::clone(chain)),
                Kind::Node(rpc) => DevTools::Node(Faucet {
                    rpc: rpc.clone(),
                    chain: Arc::clone(&source.chain),
                    wallet: wallet_handle,
                    network: config.network,
                }),
            })
        });
        let input = InputBudget::new(config.input_memory, counters.unfinished_inputs_cut.clone());
        let relay_id = config.relay_id.clone().unwrap_or_else(|| default_relay_id(&own));
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let syncs = Arc::new(Syncs::new(
            relay_id.clone(),
            Arc::clone(&sync_history),
            Arc::clone(&counters),
        ));
        let listens_on = format!("{scheme}://{ws_addr}");
        let (mesh, orders) = Mesh::open(&config, data_dir.path(), &listens_on, &CAPABILITIES, Arc::clone(&syncs))?;
        let identity = Arc::new(Identity {
            relay_id,
            address: own.address(config.network.silent_payment()).to_string(),
        });
        let settings = Arc::new(Settings::new(loader, config));
        let (restart, rate, node) = (
            Arc::<Restart>::default(),
            Arc::<Rate>::default(),
            Arc::<NodeFigures>::default(),
        );
        let status = Status::new(Sources {
            settings: Arc::clone(&settings),
            restart: Arc::clone(&restart),
            chain: Arc::clone(&source.chain),
            follow: followed,
            counters: Arc::clone(&counters),
            vitals: Arc::clone(&vitals),
            log: log.clone(),
            process: Process::new(data_dir.path()),
            index: index.clone(),
            oracle: oracle.clone(),
            rate: Arc::clone(&rate),
            mesh: Arc::clone(&mesh),
            started,
            failure: supervisor.failures(),
        });
        let host: Arc<dyn Host> = Arc::new(MeshHost {
            settings: Arc::clone(&settings),
            status: status.clone(),
            detection: detection.clone(),
        });
        let service = Service {
            status,
            settings,
            restart,
            identity,
            chain: Arc::clone(&source.chain),
            hub,
            detection,
            index,
            mesh,
            syncs,
            host,
            dev,
            log,
            counters,
            vitals,
            node,
            input,
            answers: Arc::default(),
        };
        if let (Some(scripts), Kind::Node(rpc), Some(name)) =
            (scripts, &source.kind, &service.settings.now().bitcoin_core.wallet)
        {
            let wallet = NodeWalletKeeper {
                rpc: rpc.clone(),
                chain: Arc::clone(&source.chain),
                name: name.clone(),
                vitals: Arc::clone(&service.vitals),
                handle: node_wallet,
            };
            supervisor.task("wallet", wallet.keep(scripts, service.detection.clone()));
        }
        if let (Kind::Embedded(chain), Some(every)) = (&source.kind, service.settings.now().mine_interval) {
            let miner = chain.auto_mine(every);
            supervisor.task("miner", miner.ended());
        }
        if let Some(history) = history {
            supervisor.task("history", history.run());
        }
        if let Some(oracle) = &oracle {
            supervisor.task("oracle", Arc::clone(oracle).keep_looking());
        }
        if let Some(builder) = builder {
            supervisor.task("index", builder.run());
        }
        if let Some(index) = &service.index {
            supervisor.task("index progress", show_progress(index.status.clone()));
        }
        spawn_figures(&supervisor, &service, rate);
        spawn_mesh(
            &supervisor,
            &service.host,
            &service.mesh,
            orders,
            &service.syncs,
            &service.hub,
        );
        let (ending, ends) = watch::channel(None);
        let listeners = ListenerState::new(
            &service.settings.now(),
            Arc::clone(&service.input),
            tls.clone(),
            ends,
            Arc::new(supervisor.clone()),
        );
        let websockets = service.websockets();
        supervisor.task(
            "WebSocket server",
            serve_websockets(Arc::clone(&websockets), ws, listeners.clone()),
        );
        let http_runtime = HttpRuntime::new().context("cannot start the threads of the HTTP API")?;
        let http = http_runtime.adopt(http).context("cannot use the HTTP port")?;
        let http_api = service.http(&websockets, registry, private_registry);
        let serve_http = serve_http(http_api.clone(), http, listeners);
        supervisor.task_on(http_runtime.handle(), "HTTP server", serve_http);
        starting.started();
        Ok(Self {
            service,
            websockets,
            http_api,
            ws_addr,
            http_addr,
            ending,
            tls,
            parts,
            _http_runtime: http_runtime,
            _data_dir: data_dir,
        })
    }

    /// Where the WebSocket API listens.
    pub fn ws_addr(&self) -> SocketAddr {
        self.ws_addr
    }

    /// Where the HTTP API listens.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// The name of the relay, and the address of its wallet.
    pub fn identity(&self) -> &Identity {
        &self.service.identity
    }

    /// Its condition, and whether it is ready.
    pub fn status(&self) -> &Status {
        &self.service.status
    }

    /// Its configuration.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.service.settings
    }

    /// How its restart is asked for.
    pub fn restart(&self) -> &Arc<Restart> {
        &self.service.restart
    }

    /// Mines and pays, where the network is for development.
    pub fn dev(&self) -> Option<&Arc<DevTools>> {
        self.service.dev.as_ref()
    }

    /// What its WebSocket connections see of it.
    pub fn websockets(&self) -> &Arc<sdk_relay_ws::Handles> {
        &self.websockets
    }

    /// Its HTTP API.
    pub fn http_api(&self) -> &Front {
        &self.http_api
    }

    /// The certificate's file, where both ports speak TLS.
    pub fn certificate(&self) -> Option<&Path> {
        self.tls.as_ref().map(Tls::certificate)
    }

    /// Reads the certificate anew; `false` where there is none. Connections stay; when the new one is wrong, the old
    /// one does too.
    pub fn reload_certificate(&self) -> Result<bool, TlsError> {
        self.tls.as_ref().map_or(Ok(false), |tls| tls.reload().map(|()| true))
    }

    /// Who owns its tasks and threads.
    pub fn supervisor(&self) -> &Supervisor {
        &self.parts.supervisor
    }

    /// Waits for something that should not be: the end of one of the relay's own parts.
    pub async fn failed(&self) -> Failure {
        self.parts.supervisor.failed().await
    }

    /// Ends the relay: no new connections, clients are closed with `code`, requests answered, the log closed.
    /// Everything has a deadline.
    pub async fn shut_down(self, code: CloseCode) {
        self.parts.supervisor.begin_stop();
        self.service.mesh.leave().await;
        self.ending.send_replace(Some(code));
        if !self.parts.supervisor.drain(DRAIN_WITHIN).await {
            tracing::warn!(
                connections = self.parts.supervisor.connections(),
                "graceful shutdown timed out; closing the remaining connections"
            );
            // They hold the store, which a restart opens again.
            if !self.parts.supervisor.cut_connections(CUT_WITHIN).await {
                tracing::error!("a connection could not be closed; abandoning it");
            }
        }
        self.parts.stop.cancel();
        let left = self.parts.supervisor.stop(JOIN_WITHIN).await;
        if !left.is_empty() {
            tracing::error!(
                parts = left.join(", "),
                "some tasks did not end in time; abandoning them (committed data is complete)"
            );
        }
        let history = Arc::clone(&self.service.syncs.history);
        // Writing blocks, and a thread that computes is not at an await.
        let saved = tokio::task::spawn_blocking(move || history.save());
        if !matches!(timeout(JOIN_WITHIN, saved).await, Ok(Ok(()))) {
            tracing::error!("the last syncs could not be written to the sync history");
        }
    }
}

/// What is measured all the time.
fn spawn_figures(supervisor: &Supervisor, service: &Service, rate: Arc<Rate>) {
    let counters = Arc::clone(&service.counters);
    supervisor.task("message rate", async move {
        rate.sample(|| counters.messages_received.get() + counters.messages_sent.get())
            .await;
    });
    let (chain, node) = (Arc::clone(&service.chain), Arc::clone(&service.node));
    supervisor.task("node figures", async move {
        node.poll(|| node_figures(&*chain)).await;
    });
}

fn log_scanner(engine: &'static str, error: Option<&EngineError>) {
    match error {
        Some(error) => {
            tracing::error!(engine, %error, "the scan engine failed; scanning with libsecp256k1 instead, which is slower");
        }
        None => tracing::info!(engine, "the scan engine has recovered"),
    }
}
