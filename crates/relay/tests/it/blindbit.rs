//! The relay as a BlindBit Oracle: a wallet finds its payments through BlindBit's routes, whole transactions are
//! omitted and never single outputs, and answers have caching headers.
//!
//! spdk's `backend-blindbit-v1` is in no registry; its cryptography, `silentpayments`, is. The wallet here uses it, and
//! follows the steps of the BIP352 light-client specification.

mod answers;
mod building;
mod scene;
mod thinning;
mod wallet;
mod wallets;
