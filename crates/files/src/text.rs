//! Text files that people write, and that programs of other systems write.

use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use crate::error::failed;
use crate::regular::open_regular;

/// Byte order mark of UTF-8 (RFC 3629, section 6). Editors of Windows write it.
const BOM: &str = "\u{feff}";

/// Reads a regular file of at most this many bytes as UTF-8, without a byte order mark at its beginning.
///
/// `InvalidData` if it is not UTF-8, `FileTooLarge` if it has more bytes.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let file = open_regular(path)?;
    // Reserved at once: a string that grows leaves copies of a key behind.
    let size = usize::try_from(file.size()?.min(most)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(size + 1);
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let reason = io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {most} bytes"));
        return Err(failed("read", path, reason));
    }
    let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let mut text = String::from_utf8(bytes).map_err(|_| {
        let reason = if is_utf16 {
            "it is UTF-16: save it as UTF-8"
        } else {
            "it is not UTF-8 text"
        };
        failed("read", path, io::Error::new(ErrorKind::InvalidData, reason))
    })?;
    if text.starts_with(BOM) {
        text.drain(..BOM.len());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for (bytes, text) in [
            (&b"\xef\xbb\xbfabc\r\n"[..], "abc\r\n"),
            (b"abc", "abc"),
            (b"\xef\xbb\xbf", ""),
            (b"", ""),
            ("a\u{feff}b".as_bytes(), "a\u{feff}b"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(read_text(&path, 100).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_text_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let error = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read_text(&path, 9).unwrap_err()
        };
        let named = |reason: &str| format!("cannot read {}: {reason}", path.display());
        let utf16 = error(b"\xff\xfea\0");
        assert_eq!(utf16.to_string(), named("it is UTF-16: save it as UTF-8"));
        assert_eq!(utf16.kind(), ErrorKind::InvalidData);
        assert_eq!(error(b"\xff").to_string(), named("it is not UTF-8 text"));
        let large = error(b"0123456789");
        assert_eq!(large.to_string(), named("it is larger than 9 bytes"));
        assert_eq!(large.kind(), ErrorKind::FileTooLarge);
    }
}
