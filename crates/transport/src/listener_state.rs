//! State shared by the ports.

use std::sync::Arc;

use sdk_relay_config::{Config, TrustedProxies};
use tokio::sync::Semaphore;

use crate::admission::{Admission, Refusals};
use crate::connection_slots::Bounds;
use crate::input_budget::InputBudget;
use crate::open_files::{HTTP2_PER_ADDRESS, Shares};
use crate::shutdown::Shutdown;
use crate::spawn::SpawnConnection;
use crate::timeouts::Timeouts;
use crate::tls::Tls;

/// State shared by the ports: limits of connections, the owner of their tasks, and the shutdown.
#[derive(Clone, Debug)]
pub struct ListenerState {
    /// Admission of long-lived clients on the ports of the WebSocket and the HTTP API.
    pub admission: Arc<Admission>,
    /// TLS of the ports, if configured.
    pub tls: Option<Tls>,
    /// Slots for streams of `GET /events`: half of the HTTP connections, so that the rest of the API stays reachable.
    pub streams: Arc<Semaphore>,
    /// Slots for long-lived clients that are refused with a reason.
    pub refusals: Refusals,
    /// Limits of the HTTP port.
    pub(crate) bounds: Bounds,
    /// Limits of a port of HTTP/2.
    pub(crate) http2_bounds: Bounds,
    /// Peers that forward many clients.
    pub(crate) trusted: TrustedProxies,
    /// Memory of incomplete request bodies.
    pub input: Arc<InputBudget>,
    /// Signals the shutdown.
    pub ending: Shutdown,
    /// Starts and owns the tasks of connections.
    pub spawner: Arc<dyn SpawnConnection>,
    /// How long peers may take.
    pub timeouts: Timeouts,
}

impl ListenerState {
    /// The state of a relay with these limits.
    pub fn new(
        config: &Config,
        input: Arc<InputBudget>,
        tls: Option<Tls>,
        ending: Shutdown,
        spawner: Arc<dyn SpawnConnection>,
        timeouts: Timeouts,
    ) -> Self {
        let shares = Shares::of_this_process(config);
        // Applies also if the limit of open files allows fewer connections than one address may have: a part remains
        // for others.
        let three_quarters = |all: usize| all - all / 4;
        let most_of_one = three_quarters(shares.http);
        Self {
            admission: Admission::new(shares.websockets, config.max_connections_per_address),
            tls,
            streams: Arc::new(Semaphore::new(shares.http.div_ceil(2))),
            refusals: Refusals::new(shares.refusals),
            trusted: config.trusted_proxies.clone(),
            bounds: Bounds {
                all: shares.http,
                per_address: config.max_http_connections_per_address.min(most_of_one),
                proxies: most_of_one,
            },
            http2_bounds: Bounds {
                all: shares.http2,
                per_address: HTTP2_PER_ADDRESS.min(three_quarters(shares.http2)),
                proxies: three_quarters(shares.http2),
            },
            input,
            ending,
            spawner,
            timeouts,
        }
    }
}
