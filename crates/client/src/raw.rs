//! A raw WebSocket for tests of a relay: sends any frame and any bytes.

use std::path::PathBuf;

use futures_util::{SinkExt, StreamExt};
use sdk_relay_protocol::{ClientMessage, ServerMessage, encode_text};
use tokio::io::AsyncWriteExt;
use tokio_websockets::{CloseCode, Error, Message};

use crate::tls::Trust;
use crate::transport::{self, Connector, Socket};
use crate::{ConnectError, Disconnect};

/// A received frame. Fragments are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Text.
    Text(String),
    /// Binary data.
    Binary(Vec<u8>),
    /// A ping, already answered.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// A close, already answered. 1005 is a close without a code.
    Close(u16, String),
}

/// An upgraded connection before the handshake. It sends only what the caller requests, pongs, and the response to a
/// close.
#[derive(Debug)]
pub struct RawClient {
    socket: Socket,
}

impl RawClient {
    /// Connects and upgrades, without a handshake.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::dial(url, &Connector::default()).await
    }

    /// The same over `wss://`, trusting only the certificates of a PEM file.
    pub async fn connect_trusting(url: &str, pem: impl Into<PathBuf>) -> Result<Self, ConnectError> {
        let connector = Connector {
            trust: Trust::File(pem.into()),
            ..Connector::default()
        };
        Self::dial(url, &connector).await
    }

    async fn dial(url: &str, connector: &Connector) -> Result<Self, ConnectError> {
        Ok(Self {
            socket: transport::dial(url, connector).await?,
        })
    }

    /// Sends a text frame.
    pub async fn send_text(&mut self, text: impl Into<String>) -> Result<(), Disconnect> {
        self.send_message(Message::text(text.into())).await
    }

    /// Sends a message as JSON in a text frame.
    pub async fn send(&mut self, message: &ClientMessage) -> Result<(), Disconnect> {
        let text = encode_text(message).map_err(|e| Disconnect::Lost(e.to_string()))?;
        self.send_text(text).await
    }

    /// Sends a binary frame.
    pub async fn send_binary(&mut self, bytes: impl Into<Vec<u8>>) -> Result<(), Disconnect> {
        self.send_message(Message::binary(bytes.into())).await
    }

    /// Sends a ping of at most 125 bytes; longer payloads are truncated.
    pub async fn send_ping(&mut self, bytes: &[u8]) -> Result<(), Disconnect> {
        let bytes = bytes.get(..125).unwrap_or(bytes);
        self.send_message(Message::ping(bytes.to_vec())).await
    }

    /// Sends a close with this code, or with 1000 if RFC 6455 does not allow sending the code.
    pub async fn send_close(&mut self, code: u16) -> Result<(), Disconnect> {
        let sendable = CloseCode::try_from(code).ok().filter(|c| !c.is_reserved());
        let code = sendable.unwrap_or(CloseCode::NORMAL_CLOSURE);
        self.send_message(Message::close(Some(code), "")).await
    }

    /// Sends a frame unchecked: the first byte has FIN, the reserved bits and the opcode (RFC 6455, section 5.2). The
    /// payload can be anything, such as text that is not UTF-8. Masked with the key 0, because clients must mask.
    pub async fn send_frame(&mut self, first_byte: u8, payload: &[u8]) -> Result<(), Disconnect> {
        const MASKED: u8 = 0x80;
        let mut frame = vec![first_byte];
        match payload.len() {
            0..=125 => frame.push(MASKED | payload.len() as u8),
            126..=0xffff => {
                frame.push(MASKED | 126);
                frame.extend((payload.len() as u16).to_be_bytes());
            }
            long => {
                frame.push(MASKED | 127);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.send_bytes(&frame).await
    }

    /// Sends raw bytes, below the WebSocket protocol.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Disconnect> {
        self.socket.flush().await.map_err(lost)?;
        let stream = self.socket.get_mut();
        stream
            .write_all(bytes)
            .await
            .map_err(|e| Disconnect::Lost(e.to_string()))?;
        stream.flush().await.map_err(|e| Disconnect::Lost(e.to_string()))
    }

    /// Returns the next frame; an error after a [`Frame::Close`], or if the relay ends the connection without one.
    pub async fn next(&mut self) -> Result<Frame, Disconnect> {
        let message = match self.socket.next().await {
            Some(Ok(message)) => message,
            Some(Err(e)) => return Err(lost(e)),
            None => return Err(Disconnect::Lost("the relay ended the connection".to_owned())),
        };
        if let Some((code, reason)) = message.as_close() {
            return Ok(Frame::Close(code.into(), reason.to_owned()));
        }
        if let Some(text) = message.as_text() {
            return Ok(Frame::Text(text.to_owned()));
        }
        let bytes = message.as_payload().to_vec();
        Ok(if message.is_ping() {
            Frame::Ping(bytes)
        } else if message.is_pong() {
            Frame::Pong(bytes)
        } else {
            Frame::Binary(bytes)
        })
    }

    /// Returns the next text as a message, skipping pings and pongs. A close is an error with its code.
    pub async fn next_message(&mut self) -> Result<ServerMessage, Disconnect> {
        loop {
            match self.next().await? {
                Frame::Text(text) => {
                    return serde_json::from_str(&text)
                        .map_err(|e| Disconnect::Lost(format!("invalid message ({e}): {text}")));
                }
                Frame::Binary(_) => return Err(Disconnect::Lost("the relay sent a binary frame".to_owned())),
                Frame::Close(code, reason) => return Err(Disconnect::Closed { code, reason }),
                Frame::Ping(_) | Frame::Pong(_) => {}
            }
        }
    }

    async fn send_message(&mut self, message: Message) -> Result<(), Disconnect> {
        self.socket.send(message).await.map_err(lost)
    }
}

fn lost(error: Error) -> Disconnect {
    Disconnect::Lost(error.to_string())
}
