//! Frames that wait to be written to a client.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use super::frame::{HEADER_BYTES, Opcode, write_header};

/// Maximum number of slices in one vectored write; each frame takes two.
const SLICES: usize = 32;

/// Frames that are not written yet. Payloads are shared, not copied.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: VecDeque<Frame>,
    /// Bytes of the first frame that are already written.
    written: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Frame {
    header: [u8; HEADER_BYTES],
    header_length: usize,
    payload: Bytes,
}

impl Frame {
    fn len(&self) -> usize {
        self.header_length + self.payload.len()
    }

    /// The rest of header and payload after the first `written` bytes.
    fn after(&self, written: usize) -> [&[u8]; 2] {
        let header = self.header.get(written..self.header_length).unwrap_or_default();
        let payload = self.payload.get(written.saturating_sub(self.header_length)..);
        [header, payload.unwrap_or_default()]
    }
}

impl Outbox {
    pub(super) fn push(&mut self, opcode: Opcode, payload: Bytes) {
        let (header, header_length) = write_header(opcode, payload.len());
        let frame = Frame {
            header,
            header_length,
            payload,
        };
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    /// Drops the frames of which no byte is written.
    pub(super) fn drop_unwritten(&mut self) {
        self.frames.truncate(usize::from(self.written > 0));
        self.bytes = self.frames.front().map_or(0, |frame| frame.len() - self.written);
    }

    /// Number of bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes all frames. Cancel safe.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.bytes > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut used = 0;
            let mut written = self.written;
            for part in self.frames.iter().flat_map(|f| f.after(std::mem::take(&mut written))) {
                let Some(slice) = slices.get_mut(used) else { break };
                if !part.is_empty() {
                    *slice = IoSlice::new(part);
                    used += 1;
                }
            }
            let sent = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..used]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(sent);
        }
        Pin::new(stream).poll_flush(cx)
    }

    fn advance(&mut self, sent: usize) {
        self.bytes -= sent;
        self.written += sent;
        while let Some(first) = self.frames.front()
            && self.written >= first.len()
        {
            self.written -= first.len();
            self.frames.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_partly_written_frame_is_completed_and_the_others_are_dropped() {
        for (taken, kept) in [(0, 0), (3, 10), (12, 20)] {
            let (mut near, mut far) = duplex(taken.max(1));
            let mut outbox = Outbox::default();
            (0..3).for_each(|n| outbox.push(Opcode::Binary, vec![n; 8].into()));
            if taken > 0 {
                let written = poll_fn(|cx| Poll::Ready(outbox.poll_write(&mut near, cx))).await;
                assert!(written.is_pending());
            }
            outbox.drop_unwritten();
            assert_eq!(outbox.bytes(), kept - taken.min(kept), "{taken}");
            outbox.push(Opcode::Close, Bytes::new());
            let reader = tokio::spawn(async move {
                let mut all = Vec::new();
                far.read_to_end(&mut all).await.unwrap();
                all
            });
            poll_fn(|cx| outbox.poll_write(&mut near, cx)).await.unwrap();
            drop(near);
            let all = reader.await.unwrap();
            assert_eq!(all.len(), kept + 2, "{taken}: {all:?}");
            assert_eq!(&all[kept..], [0x88, 0]);
        }
    }

    #[tokio::test]
    async fn frames_arrive_complete_and_in_order_with_partial_writes() {
        let (mut near, mut far) = duplex(7);
        let mut outbox = Outbox::default();
        let mut expected = Vec::new();
        for n in 0..50usize {
            let payload = vec![n as u8; n * 5];
            let (header, used) = write_header(Opcode::Binary, payload.len());
            expected.extend_from_slice(&header[..used]);
            expected.extend_from_slice(&payload);
            outbox.push(Opcode::Binary, payload.into());
        }
        assert_eq!(outbox.bytes(), expected.len());
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.unwrap();
            all
        });
        poll_fn(|cx| outbox.poll_write(&mut near, cx)).await.unwrap();
        assert_eq!(outbox.bytes(), 0);
        drop(near);
        assert_eq!(reader.await.unwrap(), expected);
    }
}
