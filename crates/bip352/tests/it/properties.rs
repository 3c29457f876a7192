//! Random transactions, addresses and bytes: the same answers as an independent implementation (the `silentpayments`
//! crate), and no panic.

// The exemption for tests does not reach the functions that they call.
mod address;
mod inputs;
mod robustness;
mod scan;
mod tweak;

use bitcoin::secp256k1::SecretKey;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// As many cases as `cases`, with the seeds of failing ones kept beside the tests to be committed.
fn config(cases: u32) -> ProptestConfig {
    let failure_persistence =
        Some(Box::new(FileFailurePersistence::Direct("tests/it/properties/regressions.txt")) as _);
    ProptestConfig {
        failure_persistence,
        ..ProptestConfig::with_cases(cases)
    }
}

fn secret_key() -> impl Strategy<Value = SecretKey> {
    any::<[u8; 32]>().prop_filter_map("a number that is a secret key", |bytes| {
        SecretKey::from_slice(&bytes).ok()
    })
}
