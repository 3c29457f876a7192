//! One connection: typed messages over one WebSocket, from the handshake to the close.

use futures_util::{SinkExt, StreamExt};
use sdk_relay_echo::parser_reason;
use sdk_relay_protocol::{ClientMessage, Handshake, HandshakeResponse, HandshakeStatus, ServerMessage, encode_text};
use tokio::time::{Instant, timeout};
use tokio_websockets::{Error, Message};

use crate::defaults::{CLOSE_TIMEOUT, HANDSHAKE_TIMEOUT, WRITE_TIMEOUT};
use crate::transport::{self, Connector, Socket};
use crate::{ConnectError, Disconnect};

/// Maximum length of an unexpected message in an error.
const QUOTED: usize = 200;

/// An accepted connection.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    opened: Instant,
    unsent: bool,
}

impl Connection {
    /// Connects and completes the handshake.
    pub(crate) async fn open(
        url: &str,
        connector: &Connector,
        handshake: Handshake,
    ) -> Result<(Self, HandshakeResponse), ConnectError> {
        let socket = transport::dial(url, connector).await?;
        let mut connection = Self::over(socket);
        let response = timeout(HANDSHAKE_TIMEOUT, connection.shake(handshake))
            .await
            .map_err(|_| ConnectError::Timeout {
                address: transport::address(url).unwrap_or_else(|_| url.to_string()),
                step: "handshake",
                after: HANDSHAKE_TIMEOUT,
            })??;
        Ok((connection, response))
    }

    /// A connection before its handshake.
    pub(crate) fn over(socket: Socket) -> Self {
        Self {
            socket,
            opened: Instant::now(),
            unsent: false,
        }
    }

    /// When the connection was opened.
    pub(crate) fn opened(&self) -> Instant {
        self.opened
    }

    /// Whether a [`Self::flush`] may have something to do.
    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent
    }

    /// Returns the next message. `None` is a frame without a message for the app: a ping, or a message of an unknown
    /// type. Cancel-safe.
    pub(crate) async fn read(&mut self) -> Result<Option<ServerMessage>, Disconnect> {
        let message = match self.socket.next().await {
            Some(Ok(message)) => message,
            Some(Err(e)) => return Err(lost(e)),
            None => {
                return Err(Disconnect::Lost(
                    "the relay ended the connection without a close frame".to_owned(),
                ));
            }
        };
        if let Some((code, reason)) = message.as_close() {
            return Err(Disconnect::Closed {
                code: code.into(),
                reason: reason.to_owned(),
            });
        }
        let Some(text) = message.as_text() else {
            return Ok(None);
        };
        match serde_json::from_str(text) {
            Ok(message) => Ok(Some(message)),
            Err(e) => {
                // Not louder: the relay at the other end decides how often.
                tracing::debug!(
                    error = parser_reason(&e.to_string()),
                    "ignoring a message from the relay that cannot be parsed"
                );
                Ok(None)
            }
        }
    }

    /// Queues a message. This call, the next [`Self::read`] or [`Self::flush`] sends it.
    pub(crate) async fn write(&mut self, message: &ClientMessage) -> Result<(), Disconnect> {
        let text = encode_text(message).map_err(|e| Disconnect::Lost(e.to_string()))?;
        self.unsent = true;
        bounded(self.socket.feed(Message::text(text))).await
    }

    /// The same for an encoded message. Text that is not UTF-8 is not sent, and ends the connection.
    pub(crate) async fn write_text(&mut self, text: &[u8]) -> Result<(), Disconnect> {
        let text = std::str::from_utf8(text).map_err(|e| Disconnect::Lost(format!("cannot encode: {e}")))?;
        self.unsent = true;
        bounded(self.socket.feed(Message::text(text.to_owned()))).await
    }

    /// Sends all queued messages. Cancel-safe.
    pub(crate) async fn flush(&mut self) -> Result<(), Disconnect> {
        bounded(self.socket.flush()).await?;
        self.unsent = false;
        Ok(())
    }

    /// Closes with 1000, or answers the close of the relay, and waits briefly for the other side.
    pub(crate) async fn close(mut self) {
        #[expect(
            clippy::let_underscore_must_use,
            reason = "the connection ends here, whether the relay answers or not"
        )]
        let _ = timeout(CLOSE_TIMEOUT, self.socket.close()).await;
    }

    async fn shake(&mut self, handshake: Handshake) -> Result<HandshakeResponse, ConnectError> {
        self.write(&ClientMessage::Handshake(handshake))
            .await
            .map_err(ConnectError::Ended)?;
        self.flush().await.map_err(ConnectError::Ended)?;
        loop {
            match self.read().await.map_err(ConnectError::Ended)? {
                Some(ServerMessage::HandshakeResponse(response)) => return accepted(response),
                Some(other) => {
                    let text: String = format!("{other:?}").chars().take(QUOTED).collect();
                    return Err(ConnectError::NoHandshake(text));
                }
                None => {}
            }
        }
    }
}

fn accepted(response: HandshakeResponse) -> Result<HandshakeResponse, ConnectError> {
    match response.status {
        HandshakeStatus::Accepted => Ok(response),
        HandshakeStatus::Rejected => Err(ConnectError::Rejected {
            reason: response.reason.unwrap_or_else(|| "no reason given".to_owned()),
        }),
    }
}

async fn bounded(write: impl Future<Output = Result<(), Error>>) -> Result<(), Disconnect> {
    match timeout(WRITE_TIMEOUT, write).await {
        Ok(result) => result.map_err(lost),
        Err(_) => Err(Disconnect::Stuck(WRITE_TIMEOUT)),
    }
}

fn lost(error: Error) -> Disconnect {
    Disconnect::Lost(error.to_string())
}
