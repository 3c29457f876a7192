//! The socket: the one place that knows the WebSocket library.
//!
//! Every write has a deadline. A peer that does not read within it is slow, whatever the reason, and is given up: nothing waits for it.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use sdk_relay_protocol::CloseCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_websockets::proto::ProtocolError;
use tokio_websockets::{Config, Error, Limits, Message, WebSocketStream};

use crate::hub::Frame;

/// Largest message of a client (CONTRACT, "Close codes").
pub const MAX_MESSAGE: usize = 1 << 20;
/// A peer that takes nothing for this long is slow. Shorter than its silence may last (90 s), longer than a mobile network's hiccup.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// What a close may still take: the peer is going to be gone anyway.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Messages of a peer that are read and thrown away while its close is awaited.
const READ_AFTER_CLOSE: usize = 1000;
/// Bytes of a peer that are thrown away at the end, when its messages are no longer understood: a few times the largest message.
const DRAIN_BYTES: u64 = 16 << 20;
/// Longest reason of a close frame, in bytes (RFC 6455, section 5.5, less the code).
const REASON_BYTES: usize = 123;
/// Bytes that gather before they are written: one Ethernet segment's worth costs one system call, and small messages go at once at a flush.
const FLUSH_THRESHOLD: usize = 16 << 10;

/// What a peer said.
#[derive(Debug)]
pub enum Heard {
    /// A text message.
    Text(String),
    /// A ping or a pong: it lives.
    Sign,
    /// A binary message, which the relay's API does not know.
    Binary(Bytes),
    /// It is gone, or has broken the protocol; the socket has said so as far as it could.
    Gone,
}

/// The peer did not take what was written in time, or is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFailed {
    /// In time it was not.
    Slow,
    /// It is gone.
    Gone,
}

/// One WebSocket.
#[derive(Debug)]
pub struct Socket<S> {
    stream: WebSocketStream<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A socket over a stream that has been upgraded, with the relay's bound on messages.
    pub fn new(stream: S) -> Self {
        Self::with_largest(stream, MAX_MESSAGE)
    }

    /// The same with another bound, in bytes: the conformance suite sends messages of 16 MiB.
    pub fn with_largest(stream: S, largest: usize) -> Self {
        let stream = tokio_websockets::ServerBuilder::new()
            .limits(Limits::default().max_payload_len(Some(largest)))
            .config(Config::default().flush_threshold(FLUSH_THRESHOLD))
            .serve(stream);
        Self { stream }
    }

    /// What comes next. Cancelling it loses nothing.
    pub async fn hear(&mut self) -> Heard {
        match self.stream.next().await {
            Some(Ok(message)) if message.is_close() => {
                self.say_goodbye().await;
                Heard::Gone
            }
            Some(Ok(message)) if message.is_binary() => Heard::Binary(message.into_payload().into()),
            Some(Ok(message)) => match message.as_text() {
                Some(text) => Heard::Text(text.to_owned()),
                None => Heard::Sign,
            },
            Some(Err(error)) => {
                self.break_off(&error).await;
                if let Error::Protocol(ProtocolError::InvalidUtf8) | Error::PayloadTooLong { .. } = error {
                    tracing::debug!(%error, "a client broke the protocol");
                }
                Heard::Gone
            }
            None => Heard::Gone,
        }
    }

    /// Puts a frame into the line; it goes out with the next flush, or when enough has gathered.
    pub async fn feed(&mut self, frame: &Frame) -> Result<(), WriteFailed> {
        self.feed_message(frame.message()).await
    }

    /// The same for a message of any kind.
    pub async fn feed_message(&mut self, message: Message) -> Result<(), WriteFailed> {
        within(WRITE_TIMEOUT, self.stream.feed(message)).await
    }

    /// Writes out all that was fed.
    pub async fn flush(&mut self) -> Result<(), WriteFailed> {
        within(WRITE_TIMEOUT, self.stream.flush()).await
    }

    /// Asks whether the peer is there.
    pub async fn ping(&mut self) -> Result<(), WriteFailed> {
        within(WRITE_TIMEOUT, self.stream.send(Message::ping(""))).await
    }

    /// Closes with a code, and waits a moment for the peer to agree, so that it can read the code before the connection falls.
    pub async fn close(mut self, code: CloseCode, reason: &str) {
        let code = tokio_websockets::CloseCode::try_from(code.code()).ok();
        // The library panics at a longer one.
        let reason = &reason[..reason.floor_char_boundary(REASON_BYTES)];
        let goodbye = async {
            self.stream.send(Message::close(code, reason)).await?;
            // What a peer still sends is read away, up to a bound: unread bytes would turn the end into a reset that eats the code.
            for _ in 0..READ_AFTER_CLOSE {
                match self.stream.next().await {
                    Some(Ok(_)) => {}
                    Some(Err(_)) => break,
                    None => return Ok(()),
                }
            }
            self.drain().await
        };
        // The connection ends here, whether the peer takes the close frame or not.
        drop(timeout(CLOSE_TIMEOUT, goodbye).await);
    }

    /// Ends a connection whose peer has broken the protocol.
    async fn break_off(&mut self, error: &Error) {
        let goodbye = async {
            // The library has queued the close frame that the error asks for, unless a message has become too long fragment by fragment.
            if let Error::PayloadTooLong { .. } = error {
                let code = Some(tokio_websockets::CloseCode::MESSAGE_TOO_BIG);
                match self.stream.feed(Message::close(code, "more than 1 MiB")).await {
                    Ok(()) | Err(Error::AlreadyClosed) => {}
                    Err(error) => return Err(error),
                }
            }
            self.stream.flush().await?;
            self.drain().await
        };
        drop(timeout(CLOSE_TIMEOUT, goodbye).await);
    }

    /// Says that nothing more comes, and throws away what the peer still sends: unread bytes would turn the end into a reset that eats the
    /// close frame.
    async fn drain(&mut self) -> Result<(), Error> {
        let stream = self.stream.get_mut();
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(DRAIN_BYTES), &mut tokio::io::sink()).await?;
        Ok(())
    }

    async fn say_goodbye(&mut self) {
        #[expect(
            clippy::let_underscore_must_use,
            reason = "the connection ends here, whether the peer reads the close frame or not"
        )]
        let _ = timeout(CLOSE_TIMEOUT, self.stream.close()).await;
    }
}

async fn within(time: Duration, write: impl Future<Output = Result<(), Error>>) -> Result<(), WriteFailed> {
    match timeout(time, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(WriteFailed::Gone),
        Err(_) => Err(WriteFailed::Slow),
    }
}
