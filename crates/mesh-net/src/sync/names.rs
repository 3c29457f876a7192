//! Names of messages and of forced syncs: nobody can guess them.

use bitcoin::hex::DisplayHex;
use bitcoin::secp256k1::rand::RngCore;
use bitcoin::secp256k1::rand::rngs::OsRng;

/// A name for a message, which nobody can guess and no other message has.
pub(crate) fn message_id() -> String {
    format!("msg-{}", unguessable())
}

/// A name for a forced sync, as the names of messages.
pub(super) fn sync_id() -> String {
    format!("sync-{}", unguessable())
}

/// 128 random bits of the system in hex.
fn unguessable() -> String {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    bytes.to_lower_hex_string()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_of_messages_say_nothing_about_the_next_one() {
        let names: HashSet<String> = (0..1000).map(|_| message_id()).collect();
        assert_eq!(names.len(), 1000);
        for name in &names {
            let random = name.strip_prefix("msg-").unwrap();
            assert!(
                random.len() == 32 && random.bytes().all(|b| b.is_ascii_hexdigit()),
                "{name}"
            );
        }
        // No part of 32 bits is shared, as a second or a count would be.
        let parts: HashSet<&str> = names.iter().map(|name| &name[4..12]).collect();
        assert!(parts.len() > 990);
    }
}
