//! A connection whose peer must take what it is sent.
//!
//! hyper bounds how long a request's headers may take, and nothing bounds how long an answer may: a client that asks
//! and never reads would hold its slot, and a stream of `GET /events` its cursor, for as long as the client's machine
//! is on.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::last_words::LastWords;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A peer that takes not one byte for this long is given up. Longer than a WebSocket's own limit, which closes with a
/// code.
const TAKES_WITHIN: Duration = Duration::from_secs(30);

/// A stream whose writes fail with `TimedOut` when the peer takes nothing.
#[derive(Debug)]
pub struct WriteTimeout<S> {
    stream: S,
    /// There while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    last_words: LastWords,
    /// Makes the system take what is written last.
    make_room: fn(&S),
}

impl<S> WriteTimeout<S> {
    /// `make_room` is called when the connection's [`LastWords`] begin.
    pub(crate) fn new(stream: S, make_room: fn(&S)) -> Self {
        Self {
            stream,
            stalled: None,
            last_words: LastWords::default(),
            make_room,
        }
    }

    /// Lets the connection's last bytes through, at its end.
    pub fn last_words(&self) -> LastWords {
        self.last_words.clone()
    }

    fn begin_last_words(&mut self) {
        if self.last_words.take() {
            (self.make_room)(&self.stream);
        }
    }

    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }

    fn bounded<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(TAKES_WITHIN)));
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

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_given_up_and_who_takes_a_byte_is_not() {
        let (near, mut far) = duplex(10);
        let mut near = WriteTimeout::new(near, |_| {});
        near.write_all(&[0; 10]).await.unwrap();
        let reader = tokio::spawn(async move {
            for _ in 0..3 {
                sleep(TAKES_WITHIN - Duration::from_secs(1)).await;
                far.read_u8().await.unwrap();
            }
            far
        });
        near.write_all(&[0; 3]).await.unwrap();
        let _far = reader.await.unwrap();
        let since = Instant::now();
        let error = near.write_all(&[0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(since.elapsed().as_secs(), TAKES_WITHIN.as_secs());
    }
}
