//! A running relay: what it answers about itself, and how it ends.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_config::DataDir;
use sdk_relay_detect::DetectionMetrics;
use sdk_relay_http::Front;
use sdk_relay_platform::blocking;
use sdk_relay_protocol::CloseCode;
use sdk_relay_service::dev::DevTools;
use sdk_relay_service::{DRAIN_WITHIN, Failure, Identity, Restart, Settings, Status};
use sdk_relay_supervisor::Supervisor;
use sdk_relay_transport::{Tls, TlsError};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::wiring::edges::Servers;
use crate::wiring::service::Service;

/// Connections that were cut off get this long to drop what they hold.
const CUT_WITHIN: Duration = Duration::from_secs(1);
/// Tasks and threads get this long to end after that. A commit waits for the disk, which may never answer.
const JOIN_WITHIN: Duration = Duration::from_secs(5);

/// A running relay.
pub struct Relay {
    /// Dropped first: a part that ends after this has not failed.
    pub(crate) parts: Parts,
    pub(crate) service: Service,
    pub(crate) servers: Servers,
    pub(crate) ws_addr: SocketAddr,
    pub(crate) http_addr: SocketAddr,
    pub(crate) grpc_addr: Option<SocketAddr>,
    pub(crate) tls: Option<Tls>,
    pub(crate) _data_dir: DataDir,
}

/// The relay's tasks and threads. Dropped, also where the start fails half-way, they end.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) supervisor: Supervisor,
    /// Ends detection.
    pub(crate) stop: CancellationToken,
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.supervisor.abandon();
        self.stop.cancel();
    }
}

impl Relay {
    /// Where the WebSocket API listens.
    pub fn ws_addr(&self) -> SocketAddr {
        self.ws_addr
    }

    /// Where the HTTP API listens.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Where BlindBit's gRPC interface listens, if it does.
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.grpc_addr
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
        self.service.parts.dev.as_ref()
    }

    /// What its WebSocket connections see of it.
    pub fn websockets(&self) -> &Arc<sdk_relay_ws::Handles> {
        &self.servers.websockets
    }

    /// Counters of its detection.
    pub fn detection_metrics(&self) -> &Arc<DetectionMetrics> {
        &self.service.parts.metrics.detection
    }

    /// The threads that serve its HTTP API.
    pub fn http_runtime(&self) -> &Handle {
        self.servers.http_runtime.handle()
    }

    /// Its HTTP API.
    pub fn http_api(&self) -> &Front {
        &self.servers.http_api
    }

    /// The certificate's file, where both ports speak TLS.
    pub fn certificate(&self) -> Option<&Path> {
        self.tls.as_ref().map(Tls::certificate)
    }

    /// Reloads the certificate; `false` without TLS. Connections stay open. If the new certificate is invalid, the old
    /// one stays in use.
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
        self.service.parts.mesh.mesh.leave().await;
        self.servers.ending.send_replace(Some(code));
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
        let history = Arc::clone(&self.service.parts.mesh.syncs.history);
        // Writing blocks, and a thread that computes is not at an await.
        let saved = blocking::spawn(move || history.save());
        if !matches!(timeout(JOIN_WITHIN, saved).await, Ok(Ok(()))) {
            tracing::error!("the last syncs could not be written to the sync history");
        }
        let webhooks = self.service.parts.webhooks.clone();
        let saved = blocking::spawn(move || webhooks.save());
        if !matches!(timeout(JOIN_WITHIN, saved).await, Ok(Ok(Ok(())))) {
            tracing::error!("the last positions of the webhooks could not be written; some messages are posted again");
        }
    }
}
