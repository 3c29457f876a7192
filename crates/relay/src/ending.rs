//! How the relay's end is told to all that it serves.

use sdk_relay_protocol::CloseCode;
use tokio::sync::watch;

/// Nothing for as long as the relay serves; then the code with which WebSocket connections are to be closed.
pub type Ending = watch::Receiver<Option<CloseCode>>;

/// How a restart is asked for. It happens after the answer: whoever runs the relay takes it down and starts it anew.
#[derive(Debug, Default)]
pub struct Restart(tokio::sync::Notify);

impl Restart {
    /// Asks for it.
    pub fn ask(&self) {
        self.0.notify_one();
    }

    /// Waits until somebody has asked.
    pub async fn asked(&self) {
        self.0.notified().await;
    }
}

/// Waits for the end. Cancelling it loses nothing.
pub(crate) async fn ended(ending: &mut Ending) -> CloseCode {
    match ending.wait_for(Option::is_some).await {
        Ok(code) => code.unwrap_or(CloseCode::GoingAway),
        Err(_) => CloseCode::GoingAway,
    }
}
