//! The relay in a BlindBit Oracle's place: a wallet finds its payments through BlindBit's routes, whole transactions are left out and never
//! single outputs, and answers say how long they keep.
//!
//! spdk's `backend-blindbit-v1` is in no registry; its cryptography, `silentpayments`, is. The wallet here is made of that, and follows the
//! steps of the BIP352 light-client specification.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "blindbit/answers.rs"]
mod answers;
#[path = "blindbit/building.rs"]
mod building;
#[path = "blindbit/scene.rs"]
mod scene;
#[path = "blindbit/thinning.rs"]
mod thinning;
#[path = "blindbit/wallet.rs"]
mod wallet;
#[path = "blindbit/wallets.rs"]
mod wallets;
