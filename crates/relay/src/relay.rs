//! A relay from start to end: opens everything in order, wires it, and takes it down in the reverse order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::hex::DisplayHex;
use prometheus_client::registry::Registry;
use sdk_relay_bip352::{Engine, EngineError, Receiver, Scanner};
use sdk_relay_chain::follower::{FollowStatus, Follower, FollowerOptions, Start};
use sdk_relay_chain::node::{NodeConfig, NodeSource};
use sdk_relay_chain::rpc::{Auth, RpcClient};
use sdk_relay_chain::{BlockRef, ChainSource};
use sdk_relay_config::{BitcoinCore, Config, Credentials, DataDir, IndexConfig, Loader};
use sdk_relay_detect::{NodeWalletKeeper, own_wallet};
use sdk_relay_devchain::DevChain;
use sdk_relay_events::Hub;
use sdk_relay_index::oracle::Oracle;
use sdk_relay_index::{Builder, Index, Pool};
use sdk_relay_mesh_net::{History, Host, Mesh, REPORT_TOPICS, Syncs};
use sdk_relay_protocol::CloseCode;
use sdk_relay_service::dev::{DevTools, Faucet};
use sdk_relay_service::{
    CAPABILITIES, Context, DRAIN_WITHIN, Failure, KeyWork, Restart, Settings, node_figures, preflight,
};
use sdk_relay_store::{Retention, Store, TweakIndex};
use sdk_relay_telemetry::clock::unix_now;
use sdk_relay_telemetry::{Counters, LogTap, NodeFigures, Process, Rate, Vitals};
use sdk_relay_transport::http_runtime::HttpRuntime;
use sdk_relay_transport::{AnswerBudget, InputBudget, ListenerState, Tls, TlsError, serve_http};
use sdk_relay_ws::serve_websockets;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::first_block;
use crate::ports::Ports;
use crate::progress::show_progress;
use crate::supervisor::Supervisor;
use crate::wiring::http_api;

/// Name of the store in the data directory.
const STORE_FILE: &str = "relay.redb";
/// Directory of the tweak index in the data directory.
const INDEX_DIRECTORY: &str = "index";
/// Connections that were cut off get this long to drop what they hold.
const CUT_WITHIN: Duration = Duration::from_secs(1);
/// Tasks and threads get this long to end after that. A commit waits for the disk, which may never answer.
const JOIN_WITHIN: Duration = Duration::from_secs(5);

/// A running relay.
pub struct Relay {
    cx: Arc<Context>,
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

/// Where blocks come from, and what goes with it.
struct Source {
    chain: Arc<dyn ChainSource>,
    kind: Kind,
}

enum Kind {
    Embedded(Arc<DevChain>),
    Node(RpcClient),
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

        first_block::begin(&store, &*source.chain).await?;
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
        let oracle = match &config.blindbit_url {
            Some(url) => {
                let oracle = Oracle::new(url, config.network).context("blindbit.url")?;
                oracle.counters().register(&mut registry);
                Some(Arc::new(oracle))
            }
            None => None,
        };
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
        let dev = config.network.is_for_development().then(|| match &source.kind {
            Kind::Embedded(chain) => DevTools::Embedded(Arc::clone(chain)),
            Kind::Node(rpc) => DevTools::Node(Faucet {
                rpc: rpc.clone(),
                chain: Arc::clone(&source.chain),
                wallet: wallet_handle,
                network: config.network,
            }),
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
        let cx = Arc::new(Context {
            mesh,
            syncs,
            relay_id,
            address: own.address(config.network.silent_payment()).to_string(),
            process: Process::new(data_dir.path()),
            follow: followed,
            chain: Arc::clone(&source.chain),
            node: NodeFigures::default(),
            index,
            oracle,
            rate: Rate::default(),
            settings: Settings::new(loader, config),
            restart: Restart::default(),
            hub,
            detection,
            counters,
            registry,
            private_registry,
            input,
            answers: AnswerBudget::default(),
            key_work: KeyWork::default(),
            vitals,
            log,
            ws_addr,
            dev,
            started,
            failure: supervisor.failures(),
        });
        if let (Some(scripts), Kind::Node(rpc), Some(name)) = (scripts, &source.kind, &cx.config().bitcoin_core.wallet)
        {
            let wallet = NodeWalletKeeper {
                rpc: rpc.clone(),
                chain: Arc::clone(&source.chain),
                name: name.clone(),
                vitals: Arc::clone(&cx.vitals),
                handle: node_wallet,
            };
            supervisor.task("wallet", wallet.keep(scripts, cx.detection.clone()));
        }
        if let (Kind::Embedded(chain), Some(every)) = (&source.kind, cx.config().mine_interval) {
            let miner = chain.auto_mine(every);
            supervisor.task("miner", miner.ended());
        }
        if let Some(history) = history {
            supervisor.task("history", history.run());
        }
        if let Some(oracle) = &cx.oracle {
            supervisor.task("oracle", Arc::clone(oracle).keep_looking());
        }
        if let Some(builder) = builder {
            supervisor.task("index", builder.run());
        }
        if let Some(index) = &cx.index {
            supervisor.task("index progress", show_progress(index.status.clone()));
        }
        spawn_reports(&supervisor, &cx);
        let host: Arc<dyn Host> = Arc::<Context>::clone(&cx);
        supervisor.task("mesh", sdk_relay_mesh_net::run(host, Arc::clone(&cx.mesh), orders));
        supervisor.task("sync history", sync_history.save_regularly());
        let (ending, ends) = watch::channel(None);
        let listeners = ListenerState::new(
            &cx.config(),
            Arc::clone(&cx.input),
            tls.clone(),
            ends,
            Arc::new(supervisor.clone()),
        );
        supervisor.task(
            "WebSocket server",
            serve_websockets(Arc::clone(&cx), ws, listeners.clone()),
        );
        let http_runtime = HttpRuntime::new().context("cannot start the threads of the HTTP API")?;
        let http = http_runtime.adopt(http).context("cannot use the HTTP port")?;
        let serve_http = serve_http(http_api(&cx), http, listeners);
        supervisor.task_on(http_runtime.handle(), "HTTP server", serve_http);
        starting.started();
        Ok(Self {
            cx,
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

    /// What connections and requests look at.
    pub fn context(&self) -> &Arc<Context> {
        &self.cx
    }

    /// The certificate's file, where both ports speak TLS.
    pub fn certificate(&self) -> Option<&Path> {
        self.tls.as_ref().map(Tls::certificate)
    }

    /// Reads the certificate anew; `false` where there is none. Connections stay; when the new one is wrong, the old one does too.
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

    /// Ends the relay: no new connections, clients are closed with `code`, requests answered, the log closed. Everything has a deadline.
    pub async fn shut_down(self, code: CloseCode) {
        self.parts.supervisor.begin_stop();
        self.cx.mesh.leave().await;
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
        let history = Arc::clone(&self.cx.syncs.history);
        // Writing blocks, and a thread that computes is not at an await.
        let saved = tokio::task::spawn_blocking(move || history.save());
        if !matches!(timeout(JOIN_WITHIN, saved).await, Ok(Ok(()))) {
            tracing::error!("the last syncs could not be written to the sync history");
        }
    }
}

/// Opens the store. Where an earlier one is gone (an operator has moved a damaged one away), the new log begins above every id of it: a client
/// that resumes with one of those is sent the gap, where it would else be taken for an id of the new log. Unix milliseconds are above all
/// ids of a log that grew by fewer than 1,000 events a second, and JavaScript's numbers hold them.
fn open_store(data_dir: &DataDir, config: &Config) -> anyhow::Result<Store> {
    let path = data_dir.path().join(STORE_FILE);
    let is_missing = std::fs::metadata(&path).map_or(true, |file| file.len() == 0);
    let retention = Retention {
        events: config.retention.events,
        bytes: config.retention.bytes,
    };
    let store = Store::open(&path, config.network.name(), retention)?;
    if is_missing && data_dir.was_used() {
        let first = unix_now().saturating_mul(1000);
        store.begin_log(first)?;
        tracing::warn!(
            first_event_id = first,
            "the event log of this data directory is missing: starting a new one; clients that resume get a gap"
        );
    }
    Ok(store)
}

fn open_source(config: &Config) -> anyhow::Result<Source> {
    if config.standalone {
        let chain = DevChain::open(&config.data_dir).context("cannot open the development chain")?;
        return Ok(Source {
            chain: Arc::clone(&chain) as Arc<dyn ChainSource>,
            kind: Kind::Embedded(chain),
        });
    }
    let BitcoinCore {
        url,
        credentials,
        zmq_url,
        ..
    } = &config.bitcoin_core;
    let auth = match credentials {
        Credentials::CookieFile(path) => Auth::CookieFile(path.clone()),
        Credentials::UserPassword(user, password) => Auth::UserPassword {
            user: user.clone(),
            password: Zeroizing::new(password.expose().to_owned()),
        },
        Credentials::Withheld { .. } => Auth::None,
    };
    if let Some(warning) = config.bitcoin_core.withheld() {
        tracing::warn!(warning, "sending no credentials to the node");
    }
    let node = NodeSource::new(NodeConfig {
        rpc_url: url.clone(),
        auth,
        zmq_url: zmq_url.clone(),
    })?
    .of_chain(config.network.chain());
    let rpc = node.rpc().clone();
    Ok(Source {
        chain: Arc::new(node),
        kind: Kind::Node(rpc),
    })
}

/// The index, and what builds it.
fn open_index(
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

fn spawn_reports(supervisor: &Supervisor, cx: &Arc<Context>) {
    for (topic, _) in REPORT_TOPICS {
        let host: Arc<dyn Host> = Arc::<Context>::clone(cx);
        let reports = Arc::clone(&cx.syncs).report_regularly(host, Arc::clone(&cx.hub), topic);
        supervisor.task("reports", reports);
    }
    let sampled = Arc::clone(cx);
    supervisor.task("message rate", async move {
        let counters = &sampled.counters;
        sampled
            .rate
            .sample(|| counters.messages_received.get() + counters.messages_sent.get())
            .await;
    });
    let looking = Arc::clone(cx);
    supervisor.task("node figures", async move {
        let chain = &*looking.chain;
        looking.node.poll(|| node_figures(chain)).await;
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

/// A name that stays the same and that no other relay has: part of a hash of the wallet's scan key.
fn default_relay_id(own: &Receiver) -> String {
    let hash = sha256::Hash::hash(&own.scan_public_key().serialize());
    let short: Vec<u8> = hash.as_byte_array().iter().take(4).copied().collect();
    format!("relay-{}", short.to_lower_hex_string())
}
