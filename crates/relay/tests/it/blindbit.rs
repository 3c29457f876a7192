//! The relay in a BlindBit Oracle's place: a wallet finds its payments through BlindBit's routes, whole transactions
//! are left out and never single outputs, and answers say how long they keep.
//!
//! spdk's `backend-blindbit-v1` is in no registry; its cryptography, `silentpayments`, is. The wallet here is made of
//! that, and follows the steps of the BIP352 light-client specification.

mod answers;
mod building;
mod scene;
mod thinning;
mod wallet;
mod wallets;
