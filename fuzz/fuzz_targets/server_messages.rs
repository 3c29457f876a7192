//! Whatever a relay that was dialled says: challenges, answers, notifications, syncs with their gossip.
#![no_main]

use std::mem::discriminant;

use libfuzzer_sys::fuzz_target;
use sdk_relay_protocol::ServerMessage;

fuzz_target!(|data: &[u8]| {
    let Ok(message) = serde_json::from_slice::<ServerMessage>(data) else {
        return;
    };
    let again = serde_json::to_string(&message).expect("a message can be written");
    let again = serde_json::from_str::<ServerMessage>(&again).expect("what was written can be read");
    assert_eq!(discriminant(&again), discriminant(&message));
});
