//! Signals the shutdown to connections.

use sdk_relay_protocol::CloseCode;
use tokio::sync::watch;

/// `None` while the relay serves; then the close code of WebSocket connections.
pub type Shutdown = watch::Receiver<Option<CloseCode>>;

/// Waits for the shutdown. Cancel-safe.
pub async fn shutdown_requested(shutdown: &mut Shutdown) -> CloseCode {
    match shutdown.wait_for(Option::is_some).await {
        Ok(code) => code.unwrap_or(CloseCode::GoingAway),
        Err(_) => CloseCode::GoingAway,
    }
}
