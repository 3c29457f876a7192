//! Restarts that are asked for over HTTP.

use sdk_relay_telemetry::clock::unix_now;
use tokio::sync::watch;

/// How a restart is asked for. It happens after the answer: whoever runs the relay takes it down and starts it anew.
#[derive(Debug)]
pub struct Restart(watch::Sender<Option<String>>);

impl Default for Restart {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Restart {
    /// Asks for it; gives the name under which the log tells of it. Whoever asks while one is under way gets the same name.
    pub fn ask(&self) -> String {
        let new = format!("restart-{:x}", unix_now());
        self.0
            .send_if_modified(|name| name.is_none() && name.replace(new).is_none());
        self.0.borrow().clone().unwrap_or_default()
    }

    /// Waits until somebody has asked; gives its name.
    pub async fn asked(&self) -> String {
        let mut asked = self.0.subscribe();
        asked
            .wait_for(Option::is_some)
            .await
            .map_or_else(|_| None, |name| name.clone())
            .unwrap_or_default()
    }

    /// It will not happen: it may be asked for again.
    pub fn refused(&self) {
        self.0.send_replace(None);
    }
}
