//! Identifiers of messages and of forced syncs: random.

use bitcoin::hex::DisplayHex;
use bitcoin::secp256k1::rand::RngCore;
use sdk_relay_platform::random;

/// A unique, random `message_id`.
pub(crate) fn message_id() -> String {
    format!("msg-{}", unguessable())
}

/// A unique, random `sync_id`.
pub(super) fn sync_id() -> String {
    format!("sync-{}", unguessable())
}

/// 128 random bits in hex.
fn unguessable() -> String {
    let mut bytes = [0; 16];
    random::rng().fill_bytes(&mut bytes);
    bytes.to_lower_hex_string()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn message_ids_are_unpredictable() {
        let names: HashSet<String> = (0..1000).map(|_| message_id()).collect();
        assert_eq!(names.len(), 1000);
        for name in &names {
            let random = name.strip_prefix("msg-").unwrap();
            assert!(
                random.len() == 32 && random.bytes().all(|b| b.is_ascii_hexdigit()),
                "{name}"
            );
        }
        // No 32 bits are shared, as those of a timestamp or a counter would be.
        let parts: HashSet<&str> = names.iter().map(|name| &name[4..12]).collect();
        assert!(parts.len() > 990);
    }
}
