//! The size budget of a message, and upper bounds of its parts in JSON.

use sdk_relay_protocol::mesh::{Accusation, RelayEntry, RelayId};

/// Digits of the largest number.
const NUMBER: usize = 20;

/// Field names, braces, the status and the numbers of an entry: 207 at most.
const AROUND_ENTRY: usize = 224;

/// The same of an accusation: 104 at most.
const AROUND_ACCUSATION: usize = 112;

/// The remaining bytes of a message.
pub(crate) struct Space(usize);

impl Space {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    /// Uses this many bytes, if they are left.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// A string with its quotes. Names and addresses may have characters that JSON escapes.
fn text(text: &str) -> usize {
    let byte = |byte: u8| match byte {
        b'"' | b'\\' | 0x08 | b'\t' | b'\n' | 0x0c | b'\r' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    2 + text.bytes().map(byte).sum::<usize>()
}

/// A name in a list.
pub(crate) fn name(id: &RelayId) -> usize {
    text(id.as_str()) + 1
}

/// A name with its version, and its distance in the other list.
pub(crate) fn have(id: &RelayId) -> usize {
    name(id) + 2 * NUMBER + "[,,,1]".len() + "15,".len()
}

pub(crate) fn entry(entry: &RelayEntry) -> usize {
    let capabilities: usize = entry.capabilities.iter().map(|name| text(name) + 1).sum();
    let texts = [
        entry.relay_id.as_str(),
        &entry.public_key,
        &entry.address,
        &entry.software_version,
        &entry.signature,
    ];
    AROUND_ENTRY + capabilities + texts.into_iter().map(text).sum::<usize>()
}

pub(crate) fn accusation(accusation: &Accusation) -> usize {
    let texts = [
        accusation.relay_id.as_str(),
        accusation.by.as_str(),
        &accusation.signature,
    ];
    AROUND_ACCUSATION + texts.into_iter().map(text).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use sdk_relay_protocol::encode;
    use sdk_relay_protocol::mesh::{Have, RelayStatus};

    use super::*;

    /// The longest name in JSON.
    fn longest() -> RelayId {
        RelayId::new(&"\"".repeat(64)).unwrap()
    }

    #[test]
    fn sizes_are_upper_bounds_of_the_json() {
        let longest_entry = RelayEntry {
            relay_id: longest(),
            public_key: "f".repeat(64),
            address: "\\".repeat(300),
            incarnation: u64::MAX,
            version: u64::MAX,
            status: RelayStatus::Degraded,
            software_version: "\n\u{1}".repeat(32),
            capabilities: vec!["\"".repeat(32); 16],
            started: u64::MAX,
            signature: "f".repeat(128),
        };
        let longest_accusation = Accusation {
            relay_id: longest(),
            incarnation: u64::MAX,
            version: u64::MAX,
            by: longest(),
            signature: "f".repeat(128),
        };
        let of = |encoded: Vec<u8>| encoded.len() + ",".len();
        let counted = [
            (of(encode(&longest_entry).unwrap()), entry(&longest_entry)),
            (
                of(encode(&longest_accusation).unwrap()),
                accusation(&longest_accusation),
            ),
            (of(encode(&longest()).unwrap()), name(&longest())),
            (
                of(encode(&Have(longest(), u64::MAX, u64::MAX, 1)).unwrap()) + "15,".len(),
                have(&longest()),
            ),
        ];
        for (bytes, counted) in counted {
            assert!(
                bytes <= counted && counted <= bytes + 32,
                "{bytes} bytes, {counted} counted"
            );
        }
    }

    #[test]
    fn a_part_that_does_not_fit_uses_nothing() {
        let mut space = Space::new(10);
        assert!(space.take(4) && !space.take(7) && space.take(6) && !space.take(1));
    }
}
