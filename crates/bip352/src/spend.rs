//! Secret keys of found outputs (BIP352 "Spending").

use std::fmt;

use bitcoin::hex::DisplayHex as _;
use bitcoin::secp256k1::SecretKey;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The tweak that is added to the spend secret to obtain the secret key of an output: `t_k`, plus the label's tweak for
/// a labelled output.
///
/// Together with the spend key it spends; alone it links the output to its receiver. It is therefore serialised only by
/// explicit calls.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct OutputTweak([u8; 32]);

impl OutputTweak {
    /// Takes the big-endian scalar.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The scalar, big-endian.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The scalar as 64 hex digits, for the wire: only to the receiver.
    pub fn to_hex(&self) -> String {
        self.0.to_lower_hex_string()
    }
}

impl fmt::Debug for OutputTweak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutputTweak(..)")
    }
}

/// The secret key of a found output, `b_spend + tweak`, ready for a key-path signature without further tweaking.
///
/// Its public key may have odd y; signing with a `Keypair` negates it as BIP340 requires. `None` when `tweak` did not
/// come from a scan (no valid scalar, or a sum of zero).
pub fn secret_key(spend: &SecretKey, tweak: &OutputTweak) -> Option<SecretKey> {
    let tweak = SecretKey::from_slice(tweak.as_bytes()).ok()?;
    spend.add_tweak(&tweak.into()).ok()
}
