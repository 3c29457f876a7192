//! The state that both ports share.

use std::sync::Arc;

use sdk_relay_config::{Config, TrustedProxies};
use tokio::sync::Semaphore;

use crate::admission::Admission;
use crate::connection_slots::Bounds;
use crate::input_budget::InputBudget;
use crate::open_files::Shares;
use crate::shutdown::Shutdown;
use crate::spawn::SpawnConnection;
use crate::tls::Tls;

/// What both ports share: the bounds of connections, who owns their tasks, and when the relay shuts down.
#[derive(Clone, Debug)]
pub struct ListenerState {
    /// Long-lived clients, on whichever port.
    pub admission: Arc<Admission>,
    /// Speaks TLS on both ports, where it is configured.
    pub tls: Option<Tls>,
    /// Slots for streams of `GET /events`: half of the HTTP connections, so that the rest of the API stays reachable.
    pub streams: Arc<Semaphore>,
    /// Slots for WebSocket connections that are refused with a reason.
    pub refusals: Arc<Semaphore>,
    /// Bounds of the HTTP port.
    pub(crate) bounds: Bounds,
    /// Peers whose address is that of many clients.
    pub(crate) trusted: TrustedProxies,
    /// Memory for requests whose body is not whole.
    pub input: Arc<InputBudget>,
    /// Announces the end of the relay.
    pub ending: Shutdown,
    /// Starts and owns the connections' tasks.
    pub spawner: Arc<dyn SpawnConnection>,
}

impl ListenerState {
    /// The state of a relay with these limits.
    pub fn new(
        config: &Config,
        input: Arc<InputBudget>,
        tls: Option<Tls>,
        ending: Shutdown,
        spawner: Arc<dyn SpawnConnection>,
    ) -> Self {
        let shares = Shares::of_this_process(config);
        // Also where few open files leave fewer connections than one address could have: the rest is for the others.
        let most_of_one = shares.http - shares.http / 4;
        Self {
            admission: Admission::new(shares.websockets, config.max_connections_per_address),
            tls,
            streams: Arc::new(Semaphore::new(shares.http.div_ceil(2))),
            refusals: Arc::new(Semaphore::new(shares.refusals)),
            trusted: config.trusted_proxies.clone(),
            bounds: Bounds {
                all: shares.http,
                per_address: config.max_http_connections_per_address.min(most_of_one),
                proxies: most_of_one,
            },
            input,
            ending,
            spawner,
        }
    }
}
