//! The server side of a WebSocket (RFC 6455): reads and writes its frames.
//!
//! Every write has a deadline, after which the peer is disconnected as too slow. An incomplete message is bounded in
//! size (`limits`), in time ([`InputBudget::deadline`]) and, over all connections, in memory ([`InputBudget`]); a
//! WebSocket library would allocate its buffers outside of this budget.

mod assembler;
mod frame;
mod outbox;
mod utf8;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use sdk_relay_events::Frame;
use sdk_relay_protocol::CloseCode;
use sdk_relay_transport::{Evicted, FinalWrites, Input, InputBudget};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::sync::WaitForCancellationFutureOwned;

use assembler::{Assembler, Item};
use frame::Opcode;
use outbox::Outbox;

use crate::timeouts::Timeouts;

/// Largest message of a client (docs/API.md, "Handle close codes").
pub const MAX_MESSAGE: usize = 1 << 20;
/// Maximum number of bytes that are read and discarded at the end: a few times the largest message.
const DRAIN_BYTES: u64 = 16 << 20;
/// Longest reason of a close frame, in bytes (RFC 6455, section 5.5, less the code).
const REASON_BYTES: usize = 123;
/// Output that is buffered before it is written, to save system calls. A flush writes less.
const FLUSH_THRESHOLD: usize = 16 << 10;
/// Size of the read buffer. It is on the stack, so that an idle connection holds no buffer.
const READ_BYTES: usize = 8 << 10;

/// Bytes that are read before the task yields.
const YIELD_BYTES: usize = 64 << 10;

/// Input from the peer.
#[derive(Debug)]
pub enum Received {
    /// A text message.
    Text(String),
    /// A ping or a pong.
    Activity,
    /// A binary message, which the relay's API does not use.
    Binary(Bytes),
    /// A message was not completed in time, or the memory for incomplete messages is used up. The caller closes the
    /// socket with this code and reason.
    Unfinished(CloseCode, String),
    /// The peer has disconnected, or has violated the protocol; in the latter case a close frame was sent if possible.
    Gone,
}

/// A write timed out, or the peer has disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFailed {
    /// The write timed out.
    Slow,
    /// The peer has disconnected.
    Gone,
}

/// A violation of the protocol by a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Broken {
    #[error("{0}")]
    Protocol(&'static str),
    #[error("the text is not UTF-8")]
    Utf8,
    #[error("the message exceeds 1 MiB")]
    TooBig,
}

impl Broken {
    /// The close code (RFC 6455, section 7.4.1).
    fn code(self) -> u16 {
        match self {
            Self::Protocol(_) => CloseCode::Protocol.code(),
            Self::Utf8 => 1007,
            Self::TooBig => CloseCode::TooBig.code(),
        }
    }
}

/// One WebSocket.
#[derive(Debug)]
pub struct Socket<S> {
    stream: S,
    assembler: Assembler,
    /// Bytes that were read after the last message.
    ahead: Ahead,
    outbox: Outbox,
    budget: Arc<InputBudget>,
    unfinished: Option<Unfinished>,
    final_writes: FinalWrites,
    timeouts: Timeouts,
}

/// The part of a message that has arrived.
#[derive(Debug)]
struct Unfinished {
    input: Input,
    evicted: Pin<Box<WaitForCancellationFutureOwned>>,
    late: Pin<Box<Sleep>>,
}

#[derive(Debug, Default)]
struct Ahead {
    bytes: Vec<u8>,
    taken: usize,
}

/// Why reading has ended.
enum Stop {
    Gone,
    Broken(Broken),
    Late,
    Evicted,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A socket over a stream that has been upgraded, with the relay's bound on messages.
    pub fn new(stream: S, budget: Arc<InputBudget>, timeouts: Timeouts) -> Self {
        Self {
            timeouts,
            ..Self::with_largest(stream, MAX_MESSAGE, budget)
        }
    }

    /// The same with another maximum size in bytes: the conformance suite sends messages of 16 MiB.
    pub fn with_largest(stream: S, largest: usize, budget: Arc<InputBudget>) -> Self {
        Self {
            stream,
            assembler: Assembler::new(largest),
            ahead: Ahead::default(),
            outbox: Outbox::default(),
            budget,
            unfinished: None,
            final_writes: FinalWrites::default(),
            timeouts: Timeouts::default(),
        }
    }

    /// Passes the close frame to the kernel even if the peer is not reading.
    pub fn set_final_writes(&mut self, final_writes: FinalWrites) {
        self.final_writes = final_writes;
    }

    /// The next input. Cancel safe.
    pub async fn receive(&mut self) -> Received {
        match poll_fn(|cx| self.poll_item(cx)).await {
            Ok(Item::Text(text)) => match String::from_utf8(text) {
                Ok(text) => Received::Text(text),
                Err(_) => self.break_off(Broken::Utf8).await,
            },
            Ok(Item::Binary(bytes)) => Received::Binary(bytes.into()),
            Ok(Item::Ping(payload)) => {
                self.outbox.push(Opcode::Pong, payload.into());
                Received::Activity
            }
            Ok(Item::Pong) => Received::Activity,
            Ok(Item::Close(code)) => {
                let echo = code.map_or_else(Bytes::new, |code| code.to_be_bytes().to_vec().into());
                self.push_close(echo);
                self.finish_close().await;
                Received::Gone
            }
            Err(Stop::Gone) => Received::Gone,
            Err(Stop::Broken(broken)) => self.break_off(broken).await,
            Err(Stop::Late) => Received::Unfinished(
                CloseCode::Policy,
                format!(
                    "a message was not complete within {} s",
                    self.budget.deadline().as_secs()
                ),
            ),
            Err(Stop::Evicted) => Received::Unfinished(CloseCode::TryAgain, Evicted.to_string()),
        }
    }

    /// Queues a frame, which is written with the next flush or when enough is queued.
    pub async fn feed(&mut self, frame: &Frame) -> Result<(), WriteFailed> {
        self.feed_text(frame.text()).await
    }

    /// Queues a text message.
    pub async fn feed_text(&mut self, text: Bytes) -> Result<(), WriteFailed> {
        self.feed_message(Opcode::Text, text).await
    }

    /// Queues a binary message, which only the conformance suite uses.
    pub async fn feed_binary(&mut self, bytes: Bytes) -> Result<(), WriteFailed> {
        self.feed_message(Opcode::Binary, bytes).await
    }

    /// Writes all queued frames.
    pub async fn flush(&mut self) -> Result<(), WriteFailed> {
        match timeout(self.timeouts.write, self.write()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(WriteFailed::Gone),
            Err(_) => Err(WriteFailed::Slow),
        }
    }

    /// Sends a ping.
    pub async fn ping(&mut self) -> Result<(), WriteFailed> {
        self.outbox.push(Opcode::Ping, Bytes::new());
        self.flush().await
    }

    /// Closes with a code, and waits for a limited time for the peer's close frame, so that the peer can read the
    /// code before the connection ends. The close frame follows the frame that is partly written; other queued frames
    /// are dropped, so that a peer that reads late finds the code soon.
    pub async fn close(mut self, code: CloseCode, reason: &str) {
        self.push_close(close_payload(code.code(), reason));
        let within = self.timeouts.close;
        let written = timeout(within, self.write()).await;
        // The connection ends here, with or without the peer's close frame. Its input is read until then: with unread
        // input, the kernel would reset the connection and discard output that is not sent yet.
        let end = async {
            match written {
                Ok(Ok(())) => self.discard_input().await,
                _ => self.drain().await,
            }
        };
        drop(timeout(within, end).await);
    }

    async fn feed_message(&mut self, opcode: Opcode, payload: Bytes) -> Result<(), WriteFailed> {
        if self.outbox.bytes() >= FLUSH_THRESHOLD {
            self.flush().await?;
        }
        self.outbox.push(opcode, payload);
        Ok(())
    }

    /// Queues the last frame, right after one that is partly written.
    fn push_close(&mut self, payload: Bytes) {
        self.outbox.drop_unwritten();
        self.outbox.push(Opcode::Close, payload);
        self.final_writes.begin();
    }

    async fn write(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.outbox.poll_write(&mut self.stream, cx)).await
    }

    /// Ends a connection whose peer has violated the protocol.
    async fn break_off(&mut self, broken: Broken) -> Received {
        tracing::debug!(%broken, "closing a connection: protocol error");
        self.push_close(close_payload(broken.code(), &broken.to_string()));
        let within = self.timeouts.close;
        let closing = async {
            self.write().await?;
            self.drain().await
        };
        drop(timeout(within, closing).await);
        Received::Gone
    }

    /// Completes a close by the peer, whose code was sent back.
    async fn finish_close(&mut self) {
        let within = self.timeouts.close;
        let closing = async {
            self.write().await?;
            self.stream.shutdown().await
        };
        drop(timeout(within, closing).await);
    }

    /// Reads and discards the peer's input until its close frame, up to a limit: with unread input, the kernel
    /// would reset the connection, and the peer could lose the close code.
    async fn discard_input(&mut self) -> io::Result<()> {
        self.unfinished = None;
        self.assembler.discard();
        let mut bytes = std::mem::take(&mut self.ahead).bytes;
        let mut left = DRAIN_BYTES;
        loop {
            let mut input = bytes.as_slice();
            loop {
                match self.assembler.push(&mut input) {
                    Ok(Some(Item::Close(_))) => return self.stream.shutdown().await,
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return self.drain().await,
                }
            }
            left = left.saturating_sub(bytes.len() as u64);
            bytes.clear();
            if left == 0 || self.stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Shuts down the writing side, and discards the peer's input.
    async fn drain(&mut self) -> io::Result<()> {
        self.unfinished = None;
        self.assembler.discard();
        self.stream.shutdown().await?;
        tokio::io::copy(&mut (&mut self.stream).take(DRAIN_BYTES), &mut tokio::io::sink()).await?;
        Ok(())
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Result<Item, Stop>> {
        // A queued pong is written while reading.
        if self.outbox.bytes() > 0
            && let Poll::Ready(Err(_)) = self.outbox.poll_write(&mut self.stream, cx)
        {
            return Poll::Ready(Err(Stop::Gone));
        }
        let mut left = YIELD_BYTES;
        loop {
            if let Some(item) = self.take_ahead()? {
                return Poll::Ready(Ok(item));
            }
            if left == 0 {
                cx.waker().wake_by_ref();
                ready!(self.poll_unfinished(cx));
                return Poll::Ready(Err(self.give_up()));
            }
            let mut bytes = [0; READ_BYTES];
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Err(Stop::Gone)),
                Poll::Pending => {
                    ready!(self.poll_unfinished(cx));
                    return Poll::Ready(Err(self.give_up()));
                }
            }
            let read = buffer.filled().len();
            left = left.saturating_sub(read);
            let mut input = buffer.filled();
            let item = self.push(&mut input);
            self.ahead.keep(input);
            // Messages may contain keys, which must not remain on the stack.
            wipe(&mut bytes[..read]);
            if let Some(item) = item? {
                return Poll::Ready(Ok(item));
            }
        }
    }

    /// The next message in the bytes that were read already.
    fn take_ahead(&mut self) -> Result<Option<Item>, Stop> {
        if self.ahead.bytes.is_empty() {
            return Ok(None);
        }
        let ahead = std::mem::take(&mut self.ahead);
        let mut input = ahead.bytes.get(ahead.taken..).unwrap_or_default();
        let item = self.push(&mut input);
        if !input.is_empty() {
            let taken = ahead.bytes.len() - input.len();
            let bytes = ahead.bytes;
            self.ahead = Ahead { bytes, taken };
        }
        item
    }

    fn push(&mut self, input: &mut &[u8]) -> Result<Option<Item>, Stop> {
        if let Some(unfinished) = &self.unfinished {
            let payload = unfinished.input.resume().map_err(|Evicted| Stop::Evicted)?;
            self.assembler.give_back(payload);
        }
        let item = self.assembler.push(input).map_err(Stop::Broken)?;
        match &self.unfinished {
            Some(_) if !self.assembler.is_unfinished() => self.unfinished = None,
            Some(unfinished) => unfinished.input.park(self.assembler.take_payload()),
            None => {}
        }
        Ok(item)
    }

    /// Nothing more can be read now. Keeps the incomplete message; ready when it exceeds its time or the memory budget.
    fn poll_unfinished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.assembler.is_unfinished() {
            return Poll::Pending;
        }
        let unfinished = match &mut self.unfinished {
            Some(unfinished) => unfinished,
            None => {
                let input = self.budget.begin();
                let evicted = Box::pin(input.evicted());
                input.park(self.assembler.take_payload());
                let late = Box::pin(sleep(self.budget.deadline()));
                self.unfinished.insert(Unfinished { input, evicted, late })
            }
        };
        if unfinished.evicted.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        unfinished.late.as_mut().poll(cx)
    }

    fn give_up(&mut self) -> Stop {
        match self.unfinished.take() {
            Some(unfinished) if unfinished.input.resume().is_err() => Stop::Evicted,
            Some(unfinished) => {
                unfinished.input.late();
                Stop::Late
            }
            None => Stop::Gone,
        }
    }
}

impl Ahead {
    fn keep(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            *self = Self {
                bytes: bytes.to_vec(),
                taken: 0,
            };
        }
    }
}

fn close_payload(code: u16, reason: &str) -> Bytes {
    let reason = &reason[..reason.floor_char_boundary(REASON_BYTES)];
    [&code.to_be_bytes(), reason.as_bytes()].concat().into()
}

fn wipe(bytes: &mut [u8]) {
    use zeroize::Zeroize;
    bytes.zeroize();
}
