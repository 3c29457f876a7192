//! How connections learn that the relay shuts down.

use sdk_relay_protocol::CloseCode;
use tokio::sync::watch;

/// `None` while the relay serves; then the code with which WebSocket connections are to be closed.
pub type Shutdown = watch::Receiver<Option<CloseCode>>;

/// Waits for the shutdown. Cancelling it loses nothing.
pub async fn shutdown_requested(shutdown: &mut Shutdown) -> CloseCode {
    match shutdown.wait_for(Option::is_some).await {
        Ok(code) => code.unwrap_or(CloseCode::GoingAway),
        Err(_) => CloseCode::GoingAway,
    }
}
