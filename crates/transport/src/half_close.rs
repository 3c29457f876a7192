//! HTTP clients that half-close the connection after their request, and wait for the answer.
//!
//! The system reports a half-close like a disconnect. So an answer in progress is finished, but a request whose answer
//! takes long is cancelled, unless the client has accepted a byte recently.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};

use crate::connection_slots::{Connection, UnderWay};

/// How long an answer is awaited for a half-closed client that accepts no data. Answers take milliseconds, except those
/// that need the node.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Time to detect the end of a received body.
const BODY_END_TIMEOUT: Duration = Duration::from_millis(100);
/// Poll interval of the disconnect.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A stream that ends for its reader when the client has disconnected, not when it has half-closed.
#[derive(Debug)]
pub(crate) struct HalfClose<S> {
    stream: S,
    connection: Arc<Connection>,
    /// Error of the connection, if it is broken.
    broken: fn(&S) -> Option<io::Error>,
    finished: watch::Sender<bool>,
    end: Option<End>,
    /// The last write returned `Pending`.
    write_waits: bool,
}

/// The client has half-closed.
#[derive(Debug)]
struct End {
    since: Instant,
    took: Instant,
    look: Pin<Box<Sleep>>,
}

/// Notifies the handler of a request that its client has half-closed.
#[derive(Clone, Debug)]
pub struct PeerFinished(watch::Receiver<bool>);

impl PeerFinished {
    /// Waits for the half-close. Cancel-safe.
    pub async fn finished(&mut self) {
        if self.0.wait_for(|finished| *finished).await.is_err() {
            // The connection has ended, and its handlers with it.
            std::future::pending::<()>().await;
        }
    }
}

impl<S> HalfClose<S> {
    /// `broken` returns the error of a broken stream.
    pub(crate) fn new(
        stream: S,
        connection: Arc<Connection>,
        broken: fn(&S) -> Option<io::Error>,
    ) -> (Self, PeerFinished) {
        let (finished, seen) = watch::channel(false);
        let stream = Self {
            stream,
            connection,
            broken,
            finished,
            end: None,
            write_waits: false,
        };
        (stream, PeerFinished(seen))
    }

    fn wrote<T>(&mut self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.write_waits = written.is_pending();
        if let (Poll::Ready(Ok(_)), Some(end)) = (&written, &mut self.end) {
            end.took = Instant::now();
        }
        written
    }

    /// Ready when the client has disconnected.
    fn poll_disconnected(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = Instant::now();
        let end = self.end.get_or_insert_with(|| {
            self.finished.send_replace(true);
            End {
                since: now,
                took: now,
                look: Box::pin(sleep(POLL_INTERVAL)),
            }
        });
        loop {
            let is_over = match self.connection.under_way() {
                UnderWay::Nothing => !self.write_waits,
                UnderWay::Arriving => end.since.elapsed() >= BODY_END_TIMEOUT,
                UnderWay::Answer => end.took.elapsed() >= ANSWER_TIMEOUT,
            };
            if is_over {
                return Poll::Ready(Ok(()));
            }
            ready!(end.look.as_mut().poll(cx));
            if let Some(error) = (self.broken)(&self.stream) {
                return Poll::Ready(Err(error));
            }
            end.look.as_mut().reset(Instant::now() + POLL_INTERVAL);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HalfClose<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.end.is_none() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            if buf.filled().len() > before || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        this.poll_disconnected(cx)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HalfClose<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.wrote(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::connection_slots::ConnectionSlots;
    use crate::connection_slots::{Bounds, Slot};

    async fn slot() -> Slot {
        let bounds = Bounds {
            all: 1,
            per_address: 1,
            proxies: 1,
        };
        let slots = ConnectionSlots::new(bounds);
        slots.take([127, 0, 0, 1].into(), false).await.unwrap()
    }

    /// A client that has half-closed from the start.
    async fn finished(
        slot: &Slot,
        broken: fn(&DuplexStream) -> Option<io::Error>,
    ) -> (HalfClose<DuplexStream>, DuplexStream) {
        let (near, mut far) = duplex(100);
        far.shutdown().await.unwrap();
        (HalfClose::new(near, slot.connection(), broken).0, far)
    }

    /// What the stream reads, after far less than a test may take.
    async fn read(stream: &mut HalfClose<DuplexStream>) -> io::Result<usize> {
        let within = 10 * ANSWER_TIMEOUT;
        let mut bytes = [0; 10];
        let read = tokio::time::timeout(within, stream.read(&mut bytes)).await;
        read.expect("the end of the connection in time")
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_request_a_half_close_ends_the_connection() {
        let slot = slot().await;
        let (mut stream, _far) = finished(&slot, |_| None).await;
        let since = Instant::now();
        assert_eq!(read(&mut stream).await.unwrap(), 0);
        drop(slot.request());
        assert_eq!(read(&mut stream).await.unwrap(), 0);
        assert_eq!(since.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_awaited_until_the_timeout_or_while_the_client_reads() {
        let slot = slot().await;
        let busy = slot.request();
        let (mut stream, _far) = finished(&slot, |_| None).await;
        let since = Instant::now();
        assert_eq!(read(&mut stream).await.unwrap(), 0);
        assert!(
            (BODY_END_TIMEOUT..2 * BODY_END_TIMEOUT).contains(&since.elapsed()),
            "half a request"
        );
        busy.whole();
        let (mut stream, _far) = finished(&slot, |_| None).await;
        let since = Instant::now();
        for _ in 0..3 {
            let reading = tokio::time::timeout(ANSWER_TIMEOUT - POLL_INTERVAL, stream.read_u8());
            assert!(reading.await.is_err(), "the answer is in progress");
            stream.write_all(b"part").await.unwrap();
        }
        assert_eq!(read(&mut stream).await.unwrap(), 0);
        assert!(since.elapsed() >= 4 * ANSWER_TIMEOUT - 4 * POLL_INTERVAL && since.elapsed() < 5 * ANSWER_TIMEOUT);
        // A sent answer ends the wait immediately, whatever happens to the connection.
        let (mut stream, _far) = finished(&slot, |_| None).await;
        let (_, read) = tokio::join!(async { drop(busy) }, async {
            tokio::task::yield_now().await;
            read(&mut stream).await
        });
        assert_eq!(read.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_connection_ends_the_wait() {
        let slot = slot().await;
        slot.request().whole();
        let busy = slot.request();
        busy.whole();
        let broken = |_: &DuplexStream| Some(io::ErrorKind::ConnectionReset.into());
        let (mut stream, _far) = finished(&slot, broken).await;
        let since = Instant::now();
        let error = read(&mut stream).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(since.elapsed() < ANSWER_TIMEOUT);
    }
}
