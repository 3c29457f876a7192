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

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig::with_cases(cases)
}

fn secret_key() -> impl Strategy<Value = SecretKey> {
    any::<[u8; 32]>().prop_filter_map("a number that is a secret key", |bytes| {
        SecretKey::from_slice(&bytes).ok()
    })
}
