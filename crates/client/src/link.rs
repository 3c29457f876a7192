//! A link between relays of a mesh. Apps use [`crate::Client`].

use std::path::Path;
use std::sync::Arc;

use sdk_relay_protocol::{
    ClientMessage, Handshake, HandshakeResponse, HandshakeStatus, RelayChallenge, RelayProof, ServerMessage,
};
use tokio::time::timeout;

use crate::connection::Connection;
use crate::defaults::HANDSHAKE_TIMEOUT;
use crate::dial::Dial;
use crate::tls::Trust;
use crate::transport::{self, Connector};
use crate::{ConnectError, Disconnect};

/// Maximum size of a message from another relay, the same as the relay's own limit for clients.
const MAX_MESSAGE: usize = 1 << 20;

/// This relay's side of the mutual authentication.
pub trait Proof: Send {
    /// Answers the challenge of the other relay. An error ends the connection.
    fn answer(&mut self, challenge: &RelayChallenge) -> Result<RelayProof, String>;

    /// Checks the final response of the other relay, which has accepted. An error ends the connection.
    fn accept(&mut self, response: &HandshakeResponse) -> Result<(), String>;
}

/// A link to another relay that this one has dialled. Dropping it aborts the connection.
#[derive(Debug)]
pub struct Link {
    connection: Connection,
}

impl Link {
    /// Connects and completes the handshake as a relay. `dialer` may choose the address, so that one that was checked
    /// is the one that is used. With `trust`, the certificate of a `wss://` relay must be one of that PEM file, or be
    /// issued by one of it, otherwise by those that the system trusts.
    pub async fn dial(
        url: &str,
        dialer: Arc<dyn Dial>,
        trust: Option<&Path>,
        handshake: Handshake,
        proof: &mut dyn Proof,
    ) -> Result<(Self, HandshakeResponse), ConnectError> {
        let connector = Connector {
            trust: trust.map_or(Trust::System, |file| Trust::File(file.to_owned())),
            dialer,
            max_message: MAX_MESSAGE,
        };
        let socket = transport::dial(url, &connector).await?;
        let mut link = Self {
            connection: Connection::over(socket),
        };
        let response = timeout(HANDSHAKE_TIMEOUT, link.shake(handshake, proof))
            .await
            .map_err(|_| ConnectError::Timeout {
                address: transport::address(url).unwrap_or_else(|_| url.to_string()),
                step: "handshake",
                after: HANDSHAKE_TIMEOUT,
            })??;
        Ok((link, response))
    }

    /// Returns the next message; `None` for a frame without a message, such as a ping. Cancel-safe.
    pub async fn read(&mut self) -> Result<Option<ServerMessage>, Disconnect> {
        self.connection.read().await
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &ClientMessage) -> Result<(), Disconnect> {
        self.connection.write(message).await?;
        self.connection.flush().await
    }

    /// Sends a message that is already encoded.
    pub async fn send_text(&mut self, text: &[u8]) -> Result<(), Disconnect> {
        self.connection.write_text(text).await?;
        self.connection.flush().await
    }

    /// Closes the connection with 1000.
    pub async fn close(self) {
        self.connection.close().await;
    }

    async fn shake(&mut self, handshake: Handshake, proof: &mut dyn Proof) -> Result<HandshakeResponse, ConnectError> {
        let ended = ConnectError::Ended;
        self.send(&ClientMessage::Handshake(handshake)).await.map_err(ended)?;
        loop {
            match self.read().await.map_err(ended)? {
                Some(ServerMessage::RelayChallenge(challenge)) => {
                    let proof = proof.answer(&challenge).map_err(ConnectError::Unproven)?;
                    self.send(&ClientMessage::RelayProof(proof)).await.map_err(ended)?;
                }
                Some(ServerMessage::HandshakeResponse(response)) => {
                    if response.status == HandshakeStatus::Rejected {
                        let reason = response.reason.unwrap_or_else(|| "no reason given".to_owned());
                        return Err(ConnectError::Rejected { reason });
                    }
                    proof.accept(&response).map_err(ConnectError::Unproven)?;
                    return Ok(response);
                }
                Some(_) => return Err(ConnectError::Unproven("it sent another message first".to_owned())),
                None => {}
            }
        }
    }
}
