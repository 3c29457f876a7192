//! Restarts that are asked for over HTTP.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sdk_relay_telemetry::clock::unix_now;
use tokio::sync::watch;

/// Clients and requests get this long to end when the relay stops or restarts; then they are cut off.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// How a restart is asked for. It happens after the answer: whoever runs the relay takes it down and starts it anew.
#[derive(Debug)]
pub struct Restart {
    asked: watch::Sender<Option<String>>,
    /// Why the last one was given up.
    given_up: Mutex<Option<String>>,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            asked: watch::Sender::new(None),
            given_up: Mutex::default(),
        }
    }
}

impl Restart {
    /// Asks for it; gives the name under which the log reports it. Whoever asks while one is under way gets the same
    /// name.
    pub fn ask(&self) -> String {
        let new = format!("restart-{:x}", unix_now());
        self.asked
            .send_if_modified(|name| name.is_none() && name.replace(new).is_none());
        self.asked.borrow().clone().unwrap_or_default()
    }

    /// Waits until somebody has asked; gives its name.
    pub async fn asked(&self) -> String {
        let mut asked = self.asked.subscribe();
        asked
            .wait_for(Option::is_some)
            .await
            .map_or_else(|_| None, |name| name.clone())
            .unwrap_or_default()
    }

    /// It will not happen, for this reason: it may be asked for again.
    pub fn give_up(&self, reason: String) {
        *self.lock() = Some(reason);
        self.asked.send_replace(None);
    }

    /// Why the last restart was given up; `None` where none was.
    pub fn given_up(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
