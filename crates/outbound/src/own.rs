//! Where the relay's own names lead.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::resolver::Resolver;

/// How long an answer is used. The names of a relay behind a changing address have about this time to live.
const KEPT_FOR: Duration = Duration::from_secs(300);
/// Names that are resolved. A relay has one or two.
const NAMES: usize = 8;
/// Most addresses that are kept.
const ADDRESSES: usize = 64;

/// The addresses of the relay's own names, resolved when they are needed.
pub(crate) struct OwnNames {
    names: Vec<String>,
    resolver: Arc<dyn Resolver>,
    limit: Duration,
    resolved: Mutex<Resolved>,
}

#[derive(Default)]
struct Resolved {
    at: Option<Instant>,
    addresses: Vec<IpAddr>,
}

impl OwnNames {
    /// `limit`: time limit of a look-up.
    pub(crate) fn new(names: &[String], resolver: Arc<dyn Resolver>, limit: Duration) -> Self {
        Self {
            names: names.iter().take(NAMES).cloned().collect(),
            resolver,
            limit,
            resolved: Mutex::default(),
        }
    }

    /// The addresses. Those of the last time stay if a name cannot be resolved now.
    pub(crate) async fn addresses(&self) -> Vec<IpAddr> {
        if self.names.is_empty() {
            return Vec::new();
        }
        let mut resolved = self.resolved.lock().await;
        if resolved.at.is_none_or(|at| at.elapsed() >= KEPT_FOR) {
            let found = join_all(self.names.iter().map(|name| self.look_up(name))).await;
            let mut addresses: Vec<_> = found.iter().flatten().flatten().map(SocketAddr::ip).collect();
            if found.iter().any(Option::is_none) {
                addresses.extend(&resolved.addresses);
                addresses.truncate(ADDRESSES);
            }
            *resolved = Resolved {
                at: Some(Instant::now()),
                addresses,
            };
        }
        resolved.addresses.clone()
    }

    async fn look_up(&self, name: &str) -> Option<Vec<SocketAddr>> {
        match timeout(self.limit, self.resolver.resolve(name, 0)).await {
            Ok(Ok(found)) => Some(found),
            Ok(Err(error)) => {
                tracing::debug!(name, %error, "a name of this relay cannot be resolved");
                None
            }
            Err(_) => {
                tracing::debug!(name, "a name of this relay was not resolved in time");
                None
            }
        }
    }
}
