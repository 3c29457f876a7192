//! A byte stream.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::memory::MemoryStream;

/// A connection: of the system, or of a simulation.
#[derive(Debug)]
pub struct Stream(Kind);

#[derive(Debug)]
enum Kind {
    System(TcpStream),
    // Boxed: the size of a connection counts where there are ten thousand.
    Memory(Box<MemoryStream>),
}

impl Stream {
    pub(super) fn from_system(stream: TcpStream) -> Self {
        Self(Kind::System(stream))
    }

    pub(super) fn from_memory(stream: MemoryStream) -> Self {
        Self(Kind::Memory(Box::new(stream)))
    }

    /// The socket, for options that only a socket has; `None` in a simulation.
    pub fn socket(&self) -> Option<&TcpStream> {
        match &self.0 {
            Kind::System(stream) => Some(stream),
            Kind::Memory(_) => None,
        }
    }

    /// Disables Nagle's algorithm.
    pub fn set_nodelay(&self) -> io::Result<()> {
        self.socket().map_or(Ok(()), |socket| socket.set_nodelay(true))
    }

    /// The pending error of the connection (`SO_ERROR`), and removes it.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        match &self.0 {
            Kind::System(stream) => stream.take_error(),
            Kind::Memory(stream) => Ok(stream.error()),
        }
    }

    /// Writes what is accepted immediately; `WouldBlock` if that is nothing.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::System(stream) => stream.try_write(bytes),
            Kind::Memory(stream) => {
                let mut cx = Context::from_waker(std::task::Waker::noop());
                match Pin::new(stream.as_mut()).poll_write(&mut cx, bytes) {
                    Poll::Ready(written) => written,
                    Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
                }
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::System(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Memory(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Kind::System(stream) => Pin::new(stream).poll_write(cx, bytes),
            Kind::Memory(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Kind::System(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Kind::Memory(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Kind::System(stream) => stream.is_write_vectored(),
            Kind::Memory(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::System(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Memory(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::System(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Memory(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
