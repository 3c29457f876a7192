//! Whatever a client, or a relay that dials, says on a WebSocket: handshakes with their identities, proofs, syncs with
//! their gossip, watches.
#![no_main]

use std::mem::discriminant;

use libfuzzer_sys::fuzz_target;
use sdk_relay_protocol::{message_id, parse_client_message};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = message_id(text);
    match parse_client_message(text) {
        // What was understood is written so that it is understood again, as the same kind; a number of many digits may
        // lose the last.
        Ok(message) => {
            let again = serde_json::to_string(&message).expect("a message can be written");
            let again = parse_client_message(&again).expect("what was written can be read");
            assert_eq!(discriminant(&again), discriminant(&message));
        }
        // An answer must stay small, whatever was sent.
        Err(refusal) => assert!(refusal.message.len() <= 1024, "{}", refusal.message),
    }
});
