//! A connection with a write timeout.
//!
//! hyper has a timeout for the headers of a request, and none for writing an answer: a client that sends a request and
//! never reads would hold its slot, and a stream of `GET /events` its cursor, indefinitely.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::final_writes::FinalWrites;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream whose writes fail with `TimedOut` when the peer accepts no data.
#[derive(Debug)]
pub struct WriteTimeout<S> {
    stream: S,
    /// Timeout of a write without progress.
    within: Duration,
    /// The deadline of a pending write.
    stalled: Option<Pin<Box<Sleep>>>,
    final_writes: FinalWrites,
    /// Enlarges the send buffer for the final writes.
    grow_send_buffer: fn(&S),
}

impl<S> WriteTimeout<S> {
    /// `grow_send_buffer` is called when the [`FinalWrites`] of the connection start.
    pub(crate) fn new(stream: S, within: Duration, grow_send_buffer: fn(&S)) -> Self {
        Self {
            stream,
            within,
            stalled: None,
            final_writes: FinalWrites::default(),
            grow_send_buffer,
        }
    }

    /// Handle to start the final writes of the connection.
    pub fn final_writes(&self) -> FinalWrites {
        self.final_writes.clone()
    }

    fn begin_last_words(&mut self) {
        if self.final_writes.take() {
            (self.grow_send_buffer)(&self.stream);
        }
    }

    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }

    pub(crate) fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    fn bounded<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let within = self.within;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(within)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer accepts no data")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.begin_last_words();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.bounded(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.begin_last_words();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.bounded(cx, written)
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::Instant;

    use super::*;

    const WITHIN: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_accepts_no_data_times_out_and_a_slow_one_does_not() {
        let (near, mut far) = duplex(10);
        let mut near = WriteTimeout::new(near, WITHIN, |_| {});
        near.write_all(&[0; 10]).await.unwrap();
        let reader = tokio::spawn(async move {
            for _ in 0..3 {
                sleep(WITHIN - Duration::from_secs(1)).await;
                far.read_u8().await.unwrap();
            }
            far
        });
        near.write_all(&[0; 3]).await.unwrap();
        let _far = reader.await.unwrap();
        let since = Instant::now();
        let error = near.write_all(&[0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(since.elapsed().as_secs(), WITHIN.as_secs());
    }
}
