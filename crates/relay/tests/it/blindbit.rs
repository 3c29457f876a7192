//! The relay as a BlindBit Oracle: a wallet finds its payments through BlindBit's routes, whole transactions are
//! omitted and never single outputs, and answers have caching headers.
//!
//! spdk's `backend-blindbit-v1` is in no registry; its cryptography, `silentpayments`, is. The wallet here uses it, and
//! follows the steps of the BIP352 light-client specification.

mod answers;
pub(crate) mod building;
pub(crate) mod scene;
mod thinning;
pub(crate) mod wallet;
pub(crate) mod wallets;
