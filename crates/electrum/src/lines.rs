//! Reads and writes the lines of a connection.
//!
//! An incomplete line is bounded in size ([`MAX_LINE`]), in time and, over all clients, in memory ([`InputBudget`]).

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use sdk_relay_transport::{Buffer, Evicted, Input, InputBudget};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;
use zeroize::{Zeroize, Zeroizing};

use crate::limits::MAX_LINE;

/// Size of the read buffer. It is on the stack, so that an idle connection holds no buffer.
const READ_BYTES: usize = 8 << 10;
/// Largest number of bytes that are discarded at the end: a few times the longest line.
const DRAIN_BYTES: u64 = 4 << 20;
/// Bytes that are read before the task yields.
const YIELD_BYTES: usize = 64 << 10;

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// A line without its end.
    Line(Zeroizing<Vec<u8>>),
    /// The line is longer than [`MAX_LINE`].
    TooLong,
    /// The line was not complete in time.
    Late,
    /// The memory for incomplete lines is used up.
    Evicted,
    /// The client sends no more.
    End,
    /// The connection is broken.
    Broken,
}

/// The lines of one connection.
pub(crate) struct Lines<S> {
    stream: S,
    budget: Arc<InputBudget>,
    /// The incomplete line, unless it is parked.
    current: Buffer,
    /// It waits for more bytes: its buffer is parked in the budget.
    unfinished: Option<Unfinished>,
    /// Bytes after the last line.
    ahead: Zeroizing<Vec<u8>>,
}

struct Unfinished {
    input: Input,
    evicted: Pin<Box<WaitForCancellationFutureOwned>>,
    late: Pin<Box<Sleep>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Lines<S> {
    pub(crate) fn new(stream: S, budget: Arc<InputBudget>) -> Self {
        Self {
            stream,
            budget,
            current: Buffer::default(),
            unfinished: None,
            ahead: Zeroizing::default(),
        }
    }

    /// The next line. Cancel safe.
    pub(crate) async fn next(&mut self) -> Read {
        poll_fn(|cx| self.poll_line(cx)).await
    }

    /// Writes lines.
    pub(crate) async fn write(&mut self, lines: &[String]) -> io::Result<()> {
        let mut text = String::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        self.stream.write_all(text.as_bytes()).await?;
        self.stream.flush().await
    }

    /// Ends the connection. What the client still sends is read and discarded: with unread input, the kernel would
    /// reset the connection, and the client could lose the last line.
    pub(crate) async fn shut_down(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        tokio::io::copy(&mut (&mut self.stream).take(DRAIN_BYTES), &mut tokio::io::sink()).await?;
        Ok(())
    }

    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Read> {
        let mut left = YIELD_BYTES;
        loop {
            if !self.ahead.is_empty() {
                let ahead = std::mem::take(&mut self.ahead);
                if let Some(read) = self.feed(&ahead) {
                    return Poll::Ready(read);
                }
            }
            if left == 0 {
                cx.waker().wake_by_ref();
                return self.poll_unfinished(cx);
            }
            let mut bytes = [0; READ_BYTES];
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return Poll::Ready(Read::End),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Read::Broken),
                Poll::Pending => return self.poll_unfinished(cx),
            }
            let read = buffer.filled().len();
            left = left.saturating_sub(read);
            let fed = self.feed(buffer.filled());
            // Lines may contain keys, which must not remain on the stack.
            bytes.get_mut(..read).unwrap_or_default().zeroize();
            if let Some(read) = fed {
                return Poll::Ready(read);
            }
        }
    }

    /// Appends to the line, up to its end.
    fn feed(&mut self, input: &[u8]) -> Option<Read> {
        if let Some(unfinished) = &self.unfinished {
            match unfinished.input.resume() {
                Ok(buffer) => self.current = buffer,
                Err(Evicted) => return Some(Read::Evicted),
            }
        }
        let end = input.iter().position(|byte| *byte == b'\n');
        let piece = input.get(..end.unwrap_or(input.len())).unwrap_or_default();
        if self.current.len() + piece.len() > MAX_LINE {
            return Some(Read::TooLong);
        }
        self.current.append(piece, piece.len(), |_| {});
        let Some(end) = end else {
            if let Some(unfinished) = &self.unfinished {
                unfinished.input.park(std::mem::take(&mut self.current));
            }
            return None;
        };
        self.unfinished = None;
        self.ahead = Zeroizing::new(input.get(end + 1..).unwrap_or_default().to_vec());
        let mut line = Zeroizing::new(if self.current.is_empty() {
            Vec::new()
        } else {
            std::mem::take(&mut self.current).into_vec()
        });
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(Read::Line(line))
    }

    /// Nothing more can be read now. Keeps the incomplete line; ready when it exceeds its time or the memory budget.
    fn poll_unfinished(&mut self, cx: &mut Context<'_>) -> Poll<Read> {
        let unfinished = match &mut self.unfinished {
            Some(unfinished) => unfinished,
            None if self.current.is_empty() => return Poll::Pending,
            None => {
                let input = self.budget.begin();
                let evicted = Box::pin(input.evicted());
                input.park(std::mem::take(&mut self.current));
                let late = Box::pin(sleep(self.budget.deadline()));
                self.unfinished.insert(Unfinished { input, evicted, late })
            }
        };
        if unfinished.evicted.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Read::Evicted);
        }
        if unfinished.late.as_mut().poll(cx).is_ready() {
            unfinished.input.late();
            return Poll::Ready(Read::Late);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    fn pair() -> (Lines<DuplexStream>, DuplexStream, Arc<InputBudget>) {
        let (near, far) = duplex(4 << 20);
        let budget = InputBudget::new(3 << 20, Counter::default());
        (Lines::new(near, Arc::clone(&budget)), far, budget)
    }

    fn line(text: &str) -> Read {
        Read::Line(text.as_bytes().to_vec().into())
    }

    #[tokio::test(start_paused = true)]
    async fn lines_arrive_whole_however_they_are_cut() {
        let (mut lines, mut far, budget) = pair();
        far.write_all(b"one\r\ntwo\n\nth").await.unwrap();
        assert_eq!(lines.next().await, line("one"));
        assert_eq!(lines.next().await, line("two"));
        assert_eq!(lines.next().await, line(""));
        for byte in b"ree" {
            let waits = tokio::time::timeout(std::time::Duration::from_millis(1), lines.next()).await;
            assert!(waits.is_err(), "{waits:?}");
            assert!(budget.bytes() > 0, "it is counted");
            far.write_all(&[*byte]).await.unwrap();
        }
        far.write_all(b"\nlast").await.unwrap();
        assert_eq!(lines.next().await, line("three"));
        drop(far);
        assert_eq!(lines.next().await, Read::End);
        assert_eq!(budget.bytes(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_is_bounded_in_size_and_in_time() {
        let (mut lines, mut far, _) = pair();
        let longest = "x".repeat(MAX_LINE);
        far.write_all(format!("{longest}\n{longest}x\n").as_bytes())
            .await
            .unwrap();
        assert_eq!(lines.next().await, line(&longest));
        assert_eq!(lines.next().await, Read::TooLong);

        let (mut lines, mut far, budget) = pair();
        far.write_all(b"x").await.unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(lines.next().await, Read::Late);
        assert_eq!(began.elapsed(), budget.deadline());
    }

    #[tokio::test(start_paused = true)]
    async fn lines_of_many_clients_share_a_memory() {
        let budget = InputBudget::new(1 << 20, Counter::default());
        let mut clients = Vec::new();
        for _ in 0..3 {
            let (near, mut far) = duplex(1 << 20);
            far.write_all(&[b'x'; 500_000]).await.unwrap();
            let mut lines = Lines::new(near, Arc::clone(&budget));
            let waits = tokio::time::timeout(std::time::Duration::from_millis(1), lines.next()).await;
            assert!(waits.is_err());
            clients.push((lines, far));
        }
        assert!(budget.bytes() <= 1 << 20);
        assert_eq!(clients[0].0.next().await, Read::Evicted, "the oldest of equal ones");
    }
}
