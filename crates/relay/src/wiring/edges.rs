//! The edges: each gets the handles that it needs, and its socket.

use std::sync::Arc;

use anyhow::Context as _;
use sdk_relay_blindbit::Oracle;
use sdk_relay_electrum::serve_electrum;
use sdk_relay_http::{Figures, Front};
use sdk_relay_platform::net::Listener;
use sdk_relay_protocol::CloseCode;
use sdk_relay_service::{FeeSource, KeyWork};
use sdk_relay_supervisor::Supervisor;
use sdk_relay_transport::http_runtime::HttpRuntime;
use sdk_relay_transport::{ListenerState, Tls, serve_http, serve_http2};
use sdk_relay_ws::serve_websockets;
use tokio::sync::watch;

use super::metrics::Registries;
use super::service::Service;
use super::sockets::Sockets;

/// The servers of all edges, running.
pub(crate) struct Servers {
    pub(crate) websockets: Arc<sdk_relay_ws::Handles>,
    pub(crate) http_api: Front,
    /// Closes all connections with this code.
    pub(crate) ending: watch::Sender<Option<CloseCode>>,
    pub(crate) http_runtime: HttpRuntime,
}

/// What several edges use.
struct Shared {
    key_work: Arc<KeyWork>,
    fees: Arc<FeeSource>,
}

/// Serves all edges. The registries are those of `GET /metrics`.
pub(crate) fn serve(
    service: &Service,
    sockets: Sockets,
    tls: Option<Tls>,
    registries: Registries,
    supervisor: &Supervisor,
) -> anyhow::Result<Servers> {
    let (ending, ends) = watch::channel(None);
    let listeners = ListenerState::new(
        &service.settings.now(),
        Arc::clone(&service.input_budget),
        tls,
        ends,
        Arc::new(supervisor.clone()),
        service.timeouts.transport,
    );
    let shared = Shared {
        key_work: Arc::default(),
        fees: Arc::new(FeeSource::new(Arc::clone(&service.parts.chain))),
    };
    let websockets = service.websockets(&shared, supervisor);
    let http_runtime = HttpRuntime::new().context("cannot start the threads of the HTTP API")?;
    let http = http_runtime.adopt(sockets.http).context("cannot use the HTTP port")?;
    let oracle = service.blindbit();
    let http_api = service.http(&websockets, &oracle, &shared, registries);
    service.electrum(
        &shared,
        (sockets.electrum, sockets.electrum_tls),
        &listeners,
        supervisor,
    );
    let serve_ws = serve_websockets(Arc::clone(&websockets), sockets.ws, listeners.clone());
    supervisor.task("WebSocket server", serve_ws);
    if let Some((grpc, _)) = sockets.grpc {
        let api = oracle.grpc(service.parts.metrics.grpc.clone())?;
        supervisor.task("gRPC server", serve_http2(api, grpc, listeners.clone()));
    }
    let serve_http = serve_http(http_api.clone(), http, listeners);
    supervisor.task_on(Some(http_runtime.handle()), "HTTP server", serve_http);
    Ok(Servers {
        websockets,
        http_api,
        ending,
        http_runtime,
    })
}

impl Service {
    /// The WebSocket API.
    fn websockets(&self, shared: &Shared, supervisor: &Supervisor) -> Arc<sdk_relay_ws::Handles> {
        Arc::new(sdk_relay_ws::Handles {
            settings: Arc::clone(&self.settings),
            identity: Arc::clone(&self.identity),
            hub: Arc::clone(&self.parts.hub),
            detection: self.parts.detection.clone(),
            index: self.parts.index.clone(),
            mesh: Arc::clone(&self.parts.mesh.mesh),
            syncs: Arc::clone(&self.parts.mesh.syncs),
            host: Arc::clone(&self.host),
            first_blocks: Arc::clone(&self.first_blocks),
            key_work: Arc::clone(&shared.key_work),
            spawner: Arc::new(supervisor.clone()),
            input: Arc::clone(&self.input_budget),
            timeouts: self.timeouts.ws,
            timings: Arc::clone(&self.parts.metrics.timings),
            traffic: Arc::clone(&self.parts.metrics.traffic),
        })
    }

    /// Both interfaces of BlindBit.
    fn blindbit(&self) -> Oracle {
        Oracle::new(sdk_relay_blindbit::Handles {
            settings: Arc::clone(&self.settings),
            chain: Arc::clone(&self.parts.chain),
            index: self.parts.index.clone(),
            answers: Arc::clone(&self.answers),
            timeouts: self.timeouts.blindbit,
        })
    }

    /// The Electrum protocol, on the ports that are configured: without TLS, and with it.
    fn electrum(
        &self,
        shared: &Shared,
        (plain, tls): (Option<Listener>, Option<Listener>),
        listeners: &ListenerState,
        supervisor: &Supervisor,
    ) {
        if plain.is_none() && tls.is_none() {
            return;
        }
        let (handles, follow) = sdk_relay_electrum::Handles::new(sdk_relay_electrum::Parts {
            first_blocks: Arc::clone(&self.first_blocks),
            settings: Arc::clone(&self.settings),
            chain: Arc::clone(&self.parts.chain),
            fees: Arc::clone(&shared.fees),
            hub: Arc::clone(&self.parts.hub),
            detection: self.parts.detection.clone(),
            index: self.parts.index.clone(),
            key_work: Arc::clone(&shared.key_work),
            input: Arc::clone(&self.input_budget),
            answers: Arc::clone(&self.answers),
            traffic: Arc::clone(&self.parts.metrics.traffic),
            metrics: self.parts.metrics.electrum.clone(),
            timeouts: self.timeouts.electrum,
        });
        supervisor.task("tip for Electrum", follow);
        for (name, listener, certificate) in [
            ("Electrum server", plain, None),
            ("Electrum server with TLS", tls, listeners.tls.clone()),
        ] {
            let Some(listener) = listener else { continue };
            if let Ok(address) = listener.local_addr() {
                tracing::info!(%address, tls = certificate.is_some(), "listening for Electrum clients");
            }
            let serve = serve_electrum(Arc::clone(&handles), listener, certificate, listeners.clone());
            supervisor.task(name, serve);
        }
    }

    /// The HTTP API: its own routes and those of the other edges.
    fn http(
        &self,
        websockets: &Arc<sdk_relay_ws::Handles>,
        oracle: &Oracle,
        shared: &Shared,
        registries: Registries,
    ) -> Front {
        let edges = vec![
            oracle.edge(),
            sdk_relay_ws::edge(websockets),
            sdk_relay_dashboard::edge(),
            self.parts.webhooks.edge(),
        ];
        let figures = Figures {
            registry: registries.public,
            private_registry: registries.private,
            detection: Arc::clone(&self.parts.metrics.detection),
            vitals: Arc::clone(&self.parts.metrics.vitals),
            node: Arc::clone(&self.parts.metrics.node),
            timings: Arc::clone(&self.parts.metrics.timings),
            index: self.parts.index.clone(),
        };
        let handles = sdk_relay_http::Handles {
            status: self.status.clone(),
            settings: Arc::clone(&self.settings),
            restart: Arc::clone(&self.restart),
            identity: Arc::clone(&self.identity),
            chain: Arc::clone(&self.parts.chain),
            fees: Arc::clone(&shared.fees),
            first_blocks: Arc::clone(&self.first_blocks),
            detection: self.parts.detection.clone(),
            hub: Arc::clone(&self.parts.hub),
            mesh: Arc::clone(&self.parts.mesh.mesh),
            syncs: Arc::clone(&self.parts.mesh.syncs),
            dev: self.parts.dev.clone(),
            log: self.parts.log.clone(),
            traffic: Arc::clone(&self.parts.metrics.traffic),
            requests: self.parts.metrics.http.clone(),
            figures: Arc::new(figures),
            answers: Arc::clone(&self.answers),
        };
        sdk_relay_http::api(handles, edges)
    }
}
