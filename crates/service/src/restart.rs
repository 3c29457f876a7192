//! Restarts requested over HTTP.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sdk_relay_telemetry::clock::unix_now;
use tokio::sync::watch;

/// Drain timeout of clients and requests when the relay stops or restarts; then they are aborted.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// A restart request. It is executed after the answer, by the main loop of the process.
#[derive(Debug)]
pub struct Restart {
    requests: watch::Sender<Option<String>>,
    /// Why the last restart was abandoned.
    given_up: Mutex<Option<String>>,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            requests: watch::Sender::new(None),
            given_up: Mutex::default(),
        }
    }
}

impl Restart {
    /// Requests a restart; returns its id in the log. A request during a restart returns the same id.
    pub fn request(&self) -> String {
        let new = format!("restart-{:x}", unix_now());
        self.requests
            .send_if_modified(|name| name.is_none() && name.replace(new).is_none());
        self.requests.borrow().clone().unwrap_or_default()
    }

    /// Waits for a request; returns its id.
    pub async fn requested(&self) -> String {
        let mut requests = self.requests.subscribe();
        requests
            .wait_for(Option::is_some)
            .await
            .map_or_else(|_| None, |name| name.clone())
            .unwrap_or_default()
    }

    /// Abandons the restart with this reason; it may be requested again.
    pub fn give_up(&self, reason: String) {
        *self.lock() = Some(reason);
        self.requests.send_replace(None);
    }

    /// Why the last restart was abandoned; `None` if it was not.
    pub fn given_up(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
