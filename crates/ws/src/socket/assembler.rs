//! Assembles messages from the bytes of a client (RFC 6455, section 5). No I/O.

use sdk_relay_transport::Buffer;

use super::Broken;
use super::frame::{HEADER_BYTES, Header, Opcode};
use super::utf8::Utf8;

/// Complete input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    /// With its code, if it has one.
    Close(Option<u16>),
}

/// Assembles messages.
#[derive(Debug)]
pub(super) struct Assembler {
    largest: usize,
    /// Payload is counted and discarded: the connection is closing.
    discards: bool,
    header: [u8; HEADER_BYTES],
    header_length: usize,
    frame: Option<Frame>,
    /// The incomplete message, which may have begun in an earlier frame.
    message: Option<Message>,
    /// Its bytes.
    payload: Buffer,
    control: Buffer,
}

/// A frame whose header is complete.
#[derive(Debug)]
struct Frame {
    header: Header,
    read: u64,
}

#[derive(Debug)]
struct Message {
    is_text: bool,
    utf8: Utf8,
    length: u64,
}

impl Assembler {
    pub(super) fn new(largest: usize) -> Self {
        Self {
            largest,
            discards: false,
            header: [0; HEADER_BYTES],
            header_length: 0,
            frame: None,
            message: None,
            payload: Buffer::default(),
            control: Buffer::default(),
        }
    }

    /// Discards all payload from now on.
    pub(super) fn discard(&mut self) {
        self.discards = true;
        self.payload = Buffer::default();
    }

    /// Whether a message or a frame is incomplete.
    pub(super) fn is_unfinished(&self) -> bool {
        self.header_length > 0 || self.frame.is_some() || self.message.is_some()
    }

    /// The payload of the message so far. The caller gives it back before the next push.
    pub(super) fn take_payload(&mut self) -> Buffer {
        std::mem::take(&mut self.payload)
    }

    pub(super) fn give_back(&mut self, payload: Buffer) {
        self.payload = payload;
    }

    /// Consumes `input` until an item is complete or no input is left.
    pub(super) fn push(&mut self, input: &mut &[u8]) -> Result<Option<Item>, Broken> {
        loop {
            if self.frame.is_none() && !self.read_header(input)? {
                return Ok(None);
            }
            let Some(Frame { header, read }) = &mut self.frame else {
                return Ok(None);
            };
            let left = header.length - *read;
            let (piece, rest) = input.split_at(usize::try_from(left).unwrap_or(usize::MAX).min(input.len()));
            *input = rest;
            let (header, at) = (*header, *read);
            *read += piece.len() as u64;
            let is_whole = *read == header.length;
            self.take_piece(&header, at, piece)?;
            if !is_whole {
                return Ok(None);
            }
            self.frame = None;
            if let Some(item) = self.end_frame(&header)? {
                return Ok(Some(item));
            }
        }
    }

    /// Whether the header is complete.
    fn read_header(&mut self, input: &mut &[u8]) -> Result<bool, Broken> {
        while let [next, rest @ ..] = *input {
            let Some(place) = self.header.get_mut(self.header_length) else {
                return Err(Broken::Protocol("the frame header is incomplete"));
            };
            *place = *next;
            self.header_length += 1;
            *input = rest;
            if let Some(header) = Header::read(&self.header[..self.header_length])? {
                self.header_length = 0;
                self.begin_frame(header)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn begin_frame(&mut self, header: Header) -> Result<(), Broken> {
        match (header.opcode, &mut self.message) {
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(Broken::Protocol(
                    "a new message began before the previous one was complete",
                ));
            }
            (Opcode::Continuation, None) => return Err(Broken::Protocol("a continuation frame without a message")),
            (Opcode::Text | Opcode::Binary, message @ None) => {
                *message = Some(Message {
                    is_text: header.opcode == Opcode::Text,
                    utf8: Utf8::default(),
                    length: 0,
                });
            }
            (Opcode::Close, _) if header.length == 1 => {
                return Err(Broken::Protocol("the close code has only one byte"));
            }
            _ => {}
        }
        if let Some(message) = self.message.as_mut().filter(|_| !header.opcode.is_control()) {
            // Both are below 2^63.
            message.length += header.length;
            if message.length > self.largest as u64 && !self.discards {
                return Err(Broken::TooBig);
            }
        }
        self.frame = Some(Frame { header, read: 0 });
        Ok(())
    }

    /// A piece of the payload, still masked, that begins at the byte `at`.
    fn take_piece(&mut self, header: &Header, at: u64, piece: &[u8]) -> Result<(), Broken> {
        let coming = usize::try_from(header.length - at).unwrap_or(usize::MAX);
        let buffer = if header.opcode.is_control() {
            &mut self.control
        } else if self.discards {
            return Ok(());
        } else {
            &mut self.payload
        };
        let mut text = self
            .message
            .as_mut()
            .filter(|m| m.is_text && !header.opcode.is_control());
        // Masks have four bytes: only the lowest bits of the offset matter.
        let mut mask = header.mask;
        mask.rotate_left((at & 3) as usize);
        let mut is_utf8 = true;
        buffer.append(piece, coming, |new| {
            let word = u32::from_ne_bytes(mask);
            let (words, rest) = new.as_chunks_mut::<4>();
            for bytes in words {
                *bytes = (u32::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
            }
            rest.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
            mask.rotate_left(rest.len());
            if let Some(message) = &mut text {
                is_utf8 &= message.utf8.push(new);
            }
        });
        if is_utf8 { Ok(()) } else { Err(Broken::Utf8) }
    }

    fn end_frame(&mut self, header: &Header) -> Result<Option<Item>, Broken> {
        if header.opcode.is_control() {
            let payload = std::mem::take(&mut self.control).into_vec();
            return Ok(Some(match header.opcode {
                Opcode::Ping => Item::Ping(payload),
                Opcode::Close => Item::Close(close_code(&payload)?),
                _ => Item::Pong,
            }));
        }
        if !header.is_last {
            return Ok(None);
        }
        let Some(message) = self.message.take() else {
            return Ok(None);
        };
        if message.is_text && !message.utf8.is_whole() && !self.discards {
            return Err(Broken::Utf8);
        }
        let payload = std::mem::take(&mut self.payload).into_vec();
        Ok(Some(if message.is_text {
            Item::Text(payload)
        } else {
            Item::Binary(payload)
        }))
    }
}

/// The code of a close frame (sections 5.5.1 and 7.4).
fn close_code(payload: &[u8]) -> Result<Option<u16>, Broken> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return Ok(None);
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Broken::Protocol("invalid close code"));
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(Broken::Utf8);
    }
    Ok(Some(code))
}

#[cfg(test)]
mod tests;
