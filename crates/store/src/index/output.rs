//! Outputs, as a block of the index has them.

use bitcoin::{Amount, OutPoint};

/// Index and amount of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputPlace {
    /// Index in its transaction.
    pub vout: u32,
    /// Value.
    pub amount: Amount,
}

/// A taproot output that a block spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpentOutput {
    /// Outpoint of the output.
    pub outpoint: OutPoint,
    /// First 8 bytes of its x-only key.
    pub key_prefix: [u8; 8],
}
