//! A connection on which plain text is expected.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Content types of the first record of a TLS server: alert and handshake (RFC 8446, section 5.1). No answer in HTTP
/// begins with them.
const TLS_RECORDS: [u8; 2] = [21, 22];

/// The server speaks TLS, and plain text was expected.
#[derive(Clone, Copy, Debug)]
pub struct SpeaksTls;

impl fmt::Display for SpeaksTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server speaks TLS")
    }
}

impl Error for SpeaksTls {}

/// A connection whose first answer must be plain text: reading fails with [`SpeaksTls`] if it is TLS.
#[derive(Debug)]
pub struct PlainText<S> {
    stream: S,
    is_checked: bool,
}

impl<S> PlainText<S> {
    /// Before anything is read.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            is_checked: false,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PlainText<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if !self.is_checked
            && let Some(first) = buf.filled().get(before)
        {
            self.is_checked = true;
            if TLS_RECORDS.contains(first) {
                buf.set_filled(before);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, SpeaksTls)));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PlainText<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::net::find_cause;

    async fn read(answer: &[u8]) -> io::Result<Vec<u8>> {
        let mut read = Vec::new();
        PlainText::new(answer).read_to_end(&mut read).await?;
        Ok(read)
    }

    #[tokio::test]
    async fn an_answer_in_tls_is_an_error() {
        for answer in [&[21, 3, 3, 0, 2, 2, 50][..], &[22, 3, 1]] {
            let error = read(answer).await.unwrap_err();
            assert!(find_cause::<SpeaksTls>(&error).is_some(), "{error}");
            // As libraries pass it on.
            assert!(find_cause::<SpeaksTls>(&io::Error::other(io::Error::other(error))).is_some());
        }
        // Only the first byte counts.
        for answer in [&b""[..], b"HTTP/1.1 200 OK", b"H\x15\x16"] {
            assert_eq!(read(answer).await.unwrap(), answer);
        }
        assert!(find_cause::<SpeaksTls>(&io::Error::other("something else")).is_none());
    }
}
