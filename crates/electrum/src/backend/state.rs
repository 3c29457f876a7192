//! Whether the backend can be used, for the log and the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::metrics::ElectrumMetrics;

/// Shared by the connections of all clients: each has its own to the backend.
#[derive(Clone, Debug)]
pub(crate) struct BackendState(Arc<State>);

#[derive(Debug)]
struct State {
    metrics: ElectrumMetrics,
    is_down: AtomicBool,
    /// It refuses subscriptions that clients had before.
    is_refusing: AtomicBool,
}

/// A connection to the backend, which is counted.
#[derive(Debug)]
pub(super) struct Connected(ElectrumMetrics);

impl BackendState {
    pub(crate) fn new(metrics: ElectrumMetrics) -> Self {
        Self(Arc::new(State {
            metrics,
            is_down: AtomicBool::new(false),
            is_refusing: AtomicBool::new(false),
        }))
    }

    /// A connection is made.
    pub(super) fn connected(&self) -> Connected {
        if self.0.is_down.swap(false, Ordering::AcqRel) {
            tracing::info!("the Electrum backend answers again");
        }
        self.0.metrics.backend_connections.inc();
        Connected(self.0.metrics.clone())
    }

    /// A subscription that a client had before was made again.
    pub(super) fn accepted(&self) {
        if self.0.is_refusing.swap(false, Ordering::AcqRel) {
            tracing::info!("the Electrum backend accepts subscriptions again");
        }
    }

    /// A subscription that a client had before is refused. Logged once until one is accepted.
    pub(super) fn refused(&self, reason: &str) {
        self.0.metrics.backend_refused_subscriptions.inc();
        if self.0.is_refusing.swap(true, Ordering::AcqRel) {
            tracing::debug!(reason, "the Electrum backend refuses a subscription again");
        } else {
            tracing::warn!(
                reason,
                "the Electrum backend (electrum.backend) refuses subscriptions that it had before: closing the connections of these clients"
            );
        }
    }

    /// A connection was lost, or is not made. Logged once until one is made.
    pub(super) fn failed(&self, reason: &str) {
        self.0.metrics.backend_failures.inc();
        if self.0.is_down.swap(true, Ordering::AcqRel) {
            tracing::debug!(reason, "no connection to the Electrum backend");
        } else {
            tracing::warn!(
                reason,
                "no connection to the Electrum backend (electrum.backend): requests for it fail until it answers again"
            );
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.backend_connections.dec();
    }
}
