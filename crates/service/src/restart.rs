//! Restarts requested over HTTP.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bitcoin::secp256k1::rand::RngCore as _;
use sdk_relay_platform::random;
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
        // The time alone is that of another restart within the same second.
        let new = format!("restart-{:x}-{:08x}", unix_now(), random::rng().next_u32());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_restart_has_an_id_of_its_own_also_within_a_second() {
        let ids: std::collections::HashSet<String> = (0..10)
            .map(|_| {
                let restart = Restart::default();
                let id = restart.request();
                assert_eq!(restart.request(), id, "during a restart");
                restart.give_up("a test".to_owned());
                assert_ne!(restart.request(), id);
                id
            })
            .collect();
        assert_eq!(ids.len(), 10);
    }
}
