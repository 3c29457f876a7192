//! HTTP clients that have sent their request, say that they send no more, and wait for the answer.
//!
//! What the system reports then looks the same as the end of a client that has left. So an answer that is under way is
//! finished, but one that is awaited for long is given up, with all the work for it: a client that is still there and
//! took a byte lately is no such case.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};

use crate::connection_slots::{Connection, UnderWay};

/// For so long an answer is awaited for a client that sends no more and takes nothing. Answers take milliseconds, but
/// for those that ask the node.
const LEFT_AFTER: Duration = Duration::from_secs(5);
/// Within this the end of a body that has arrived is noticed.
const WHOLE_WITHIN: Duration = Duration::from_millis(100);
/// Between two looks whether the client has left after all.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A stream that ends for its reader when the client has left, and not when it merely sends no more.
#[derive(Debug)]
pub(crate) struct HalfClose<S> {
    stream: S,
    connection: Arc<Connection>,
    /// Why the connection broke, once it has.
    broken: fn(&S) -> Option<io::Error>,
    finished: watch::Sender<bool>,
    end: Option<End>,
    /// The last write has to be tried again.
    write_waits: bool,
}

/// The client sends no more.
#[derive(Debug)]
struct End {
    since: Instant,
    took: Instant,
    look: Pin<Box<Sleep>>,
}

/// Notifies the handler of a request that its client sends no more.
#[derive(Clone, Debug)]
pub struct PeerFinished(watch::Receiver<bool>);

impl PeerFinished {
    /// Waits until it does not. Cancelling it loses nothing.
    pub async fn finished(&mut self) {
        if self.0.wait_for(|finished| *finished).await.is_err() {
            // The connection has ended, and its handlers with it.
            std::future::pending::<()>().await;
        }
    }
}

impl<S> HalfClose<S> {
    /// `broken` says why the stream broke, where it has.
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

    /// Ready when the stream has ended for its reader.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = Instant::now();
        let end = self.end.get_or_insert_with(|| {
            self.finished.send_replace(true);
            End {
                since: now,
                took: now,
                look: Box::pin(sleep(LOOK_AGAIN)),
            }
        });
        loop {
            let is_over = match self.connection.under_way() {
                UnderWay::Nothing => !self.write_waits,
                UnderWay::Arriving => end.since.elapsed() >= WHOLE_WITHIN,
                UnderWay::Answer => end.took.elapsed() >= LEFT_AFTER,
            };
            if is_over {
                return Poll::Ready(Ok(()));
            }
            ready!(end.look.as_mut().poll(cx));
            if let Some(error) = (self.broken)(&self.stream) {
                return Poll::Ready(Err(error));
            }
            end.look.as_mut().reset(Instant::now() + LOOK_AGAIN);
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
        this.poll_left(cx)
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

    /// A client that sends no more from the beginning.
    async fn finished(
        slot: &Slot,
        broken: fn(&DuplexStream) -> Option<io::Error>,
    ) -> (HalfClose<DuplexStream>, DuplexStream) {
        let (near, mut far) = duplex(100);
        far.shutdown().await.unwrap();
        (HalfClose::new(near, slot.connection(), broken).0, far)
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_request_it_is_the_end() {
        let slot = slot().await;
        let (mut stream, _far) = finished(&slot, |_| None).await;
        let since = Instant::now();
        assert_eq!(stream.read(&mut [0; 10]).await.unwrap(), 0);
        drop(slot.request());
        assert_eq!(stream.read(&mut [0; 10]).await.unwrap(), 0);
        assert_eq!(since.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_awaited_for_a_while_and_longer_where_the_client_takes_it() {
        let slot = slot().await;
        let busy = slot.request();
        let (mut stream, _far) = finished(&slot, |_| None).await;
        let since = Instant::now();
        assert_eq!(stream.read(&mut [0; 10]).await.unwrap(), 0);
        assert!(
            (WHOLE_WITHIN..2 * WHOLE_WITHIN).contains(&since.elapsed()),
            "half a request"
        );
        busy.whole();
        let (mut stream, _far) = finished(&slot, |_| None).await;
        let since = Instant::now();
        for _ in 0..3 {
            let reading = tokio::time::timeout(LEFT_AFTER - LOOK_AGAIN, stream.read_u8());
            assert!(reading.await.is_err(), "the answer is on its way");
            stream.write_all(b"part").await.unwrap();
        }
        assert_eq!(stream.read(&mut [0; 10]).await.unwrap(), 0);
        assert!(since.elapsed() >= 4 * LEFT_AFTER - 4 * LOOK_AGAIN && since.elapsed() < 5 * LEFT_AFTER);
        // An answer that is through ends the wait at once, whatever comes of the connection.
        let (mut stream, _far) = finished(&slot, |_| None).await;
        let (_, read) = tokio::join!(async { drop(busy) }, async {
            tokio::task::yield_now().await;
            stream.read(&mut [0; 10]).await
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
        let error = stream.read(&mut [0; 10]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(since.elapsed() < LEFT_AFTER);
    }
}
