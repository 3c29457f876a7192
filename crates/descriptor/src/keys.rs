//! The keys of a descriptor.

use bitcoin::secp256k1::PublicKey;
use sdk_relay_bip352::ScanKey;

/// The keys of a descriptor, and whether they are of the main network.
pub(crate) struct Keys {
    pub(crate) scan: ScanKey,
    pub(crate) spend: PublicKey,
    pub(crate) is_mainnet: bool,
}
