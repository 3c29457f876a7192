//! The header of a frame that a client sends (RFC 6455, section 5.2).

use super::Broken;

/// Longest header: two bytes, eight bytes of length, the mask.
pub(super) const HEADER_BYTES: usize = 14;
/// Longest payload of a control frame (section 5.5).
const CONTROL_BYTES: u64 = 125;

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    pub(super) fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) is_last: bool,
    pub(super) opcode: Opcode,
    pub(super) length: u64,
    pub(super) mask: [u8; 4],
}

impl Header {
    /// Reads the header at the beginning of `bytes`. `None`: more bytes are needed. An error is reported at the first
    /// byte that determines it.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, Broken> {
        let [first, second, rest @ ..] = bytes else {
            return match bytes {
                [first] if first & 0x70 != 0 => Err(Broken::Protocol("a reserved bit is set")),
                _ => Ok(None),
            };
        };
        if first & 0x70 != 0 {
            return Err(Broken::Protocol("a reserved bit is set"));
        }
        let opcode = Opcode::from_bits(first & 0x0f).ok_or(Broken::Protocol("unknown opcode"))?;
        let is_last = first & 0x80 != 0;
        if second & 0x80 == 0 {
            return Err(Broken::Protocol("the frame is not masked"));
        }
        let (length, rest) = match second & 0x7f {
            126 => match rest.split_first_chunk::<2>() {
                Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk::<8>() {
                Some((length, rest)) => (u64::from_be_bytes(*length), rest),
                None => return Ok(None),
            },
            length => (u64::from(length), rest),
        };
        let is_shortest = match second & 0x7f {
            126 => length > 125,
            127 => length > u64::from(u16::MAX) && length >> 63 == 0,
            _ => true,
        };
        if !is_shortest {
            return Err(Broken::Protocol("the length is not minimally encoded"));
        }
        if opcode.is_control() && (!is_last || length > CONTROL_BYTES) {
            return Err(Broken::Protocol(
                "a control frame is fragmented or longer than 125 bytes",
            ));
        }
        let Some(mask) = rest.first_chunk::<4>() else {
            return Ok(None);
        };
        Ok(Some(Self {
            is_last,
            opcode,
            length,
            mask: *mask,
        }))
    }
}

/// The header of a frame of the relay: unfragmented and not masked. Returns the buffer and the length of the header in
/// it.
pub(super) fn write_header(opcode: Opcode, length: usize) -> ([u8; HEADER_BYTES], usize) {
    let mut header = [0; HEADER_BYTES];
    header[0] = 0x80 | opcode.bits();
    let used = match u16::try_from(length) {
        Ok(short @ 0..=125) => {
            header[1] = short.to_be_bytes()[1];
            2
        }
        Ok(medium) => {
            header[1] = 126;
            header[2..4].copy_from_slice(&medium.to_be_bytes());
            4
        }
        Err(_) => {
            header[1] = 127;
            header[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    };
    (header, used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_from_any_prefix_and_no_sooner_than_whole() {
        for length in [0, 125, 126, 0xffff, 0x1_0000] {
            let (mut bytes, used) = write_header(Opcode::Text, length);
            bytes[1] |= 0x80;
            bytes[used..used + 4].copy_from_slice(b"mask");
            for short in 0..used + 4 {
                assert_eq!(Header::read(&bytes[..short]), Ok(None), "{length}");
            }
            let header = Header::read(&bytes[..used + 4]).unwrap().unwrap();
            let expected = (length as u64, Opcode::Text, *b"mask");
            assert_eq!((header.length, header.opcode, header.mask), expected);
        }
    }

    #[test]
    fn invalid_headers_are_refused() {
        let wrong: [&[u8]; 9] = [
            &[0xc1],
            &[0xc1, 0x80],
            &[0x83, 0x80],
            &[0x81, 0x01],
            &[0x09, 0x80],
            &[0x89, 0xfe, 0, 126],
            &[0x81, 0xfe, 0, 125],
            &[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            &[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0],
        ];
        for bytes in wrong {
            assert!(matches!(Header::read(bytes), Err(Broken::Protocol(_))), "{bytes:x?}");
        }
    }
}
