//! Whatever a client sends over the Electrum protocol: lines, batches, parameters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdk_relay_electrum::offline::Offline;

fuzz_target!(|data: &[u8]| {
    let mut session = Offline::default();
    for line in data.split(|byte| *byte == b'\n') {
        for answer in session.line(line) {
            // Each is one line of JSON, and an error is short, whatever was sent.
            assert!(!answer.contains('\n'));
            let message: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
            let error = message["error"]["message"].as_str().unwrap_or_default();
            assert!(error.len() <= 1024, "{error}");
        }
    }
});
