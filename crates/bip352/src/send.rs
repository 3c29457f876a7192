//! The outputs of a silent payment (BIP352 "Creating outputs"): for tests, the development chain and the faucet.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bitcoin::OutPoint;
use bitcoin::secp256k1::{Parity, PublicKey, SecretKey, XOnlyPublicKey};

use crate::K_MAX;
use crate::address::SilentPaymentAddress;
use crate::curve::SECP;
use crate::hash;
use crate::shared_secret::SharedSecret;

/// An input of the transaction to create. Every input is included, ineligible ones because of their outpoint.
#[derive(Clone, Debug)]
pub struct Input {
    /// The spent outpoint.
    pub outpoint: OutPoint,
    /// The key that signs it.
    pub key: InputKey,
}

/// The key that an input adds to the shared secret. `Debug` shows a hash of the key, as that of `SecretKey` does.
#[derive(Clone, Debug)]
pub enum InputKey {
    /// P2WPKH, P2SH-P2WPKH or P2PKH with a compressed public key.
    Ecdsa(SecretKey),
    /// P2TR: the output's secret key, after tweaking. It is negated if its public key has odd y.
    Taproot(SecretKey),
    /// Any other input: it adds nothing ([`crate::input_public_key`] gives `None` for it).
    Ineligible,
}

/// Why outputs cannot be computed for these inputs and recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The receiver could not derive a shared secret.
    #[error("no input is eligible: spend at least one P2TR, P2WPKH, P2SH-P2WPKH or P2PKH output with a compressed key")]
    NoEligibleInput,
    /// The input keys sum to zero.
    #[error("the input keys cancel out: choose other inputs")]
    KeysCancelOut,
    /// The receiver would stop before the last output.
    #[error(
        "{count} outputs for scan key {scan}: one transaction can have {K_MAX}; pay the others in another transaction"
    )]
    TooManyForScanKey {
        /// The scan key.
        scan: PublicKey,
        /// How many recipients have this scan key.
        count: usize,
    },
    /// A hash or a sum is not a valid scalar or point (negligible probability with honest keys).
    #[error("these inputs and recipients do not yield a valid key: choose other inputs")]
    Underivable,
}

/// The x-only output keys, one for each recipient, in the recipients' order.
///
/// `inputs` are all inputs of the transaction, in any order. An address that occurs several times gets as many
/// different outputs. One transaction calls this once, with all its recipients: a second call would use the same keys
/// again.
pub fn output_keys(inputs: &[Input], recipients: &[SilentPaymentAddress]) -> Result<Vec<XOnlyPublicKey>, SendError> {
    let mut counts: HashMap<PublicKey, usize> = HashMap::new();
    for recipient in recipients {
        *counts.entry(recipient.scan).or_default() += 1;
    }
    if let Some((&scan, &count)) = counts.iter().find(|(_, count)| **count > K_MAX as usize) {
        return Err(SendError::TooManyForScanKey { scan, count });
    }

    let sum = secret_key_sum(inputs)?;
    let outpoints = inputs.iter().map(|input| input.outpoint);
    let input_hash = hash::input_hash(outpoints, &sum.public_key(&SECP)).ok_or(SendError::Underivable)?;
    let scalar = sum.mul_tweak(&input_hash).map_err(|_| SendError::Underivable)?;

    let mut groups: HashMap<PublicKey, (SharedSecret, u32)> = HashMap::new();
    let mut keys = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        let (secret, k) = match groups.entry(recipient.scan) {
            Entry::Occupied(group) => group.into_mut(),
            Entry::Vacant(group) => group.insert((SharedSecret::new(&recipient.scan, &scalar), 0)),
        };
        let t_k = secret.output_tweak(*k).ok_or(SendError::Underivable)?;
        let key = recipient
            .spend
            .add_exp_tweak(&SECP, &t_k.into())
            .map_err(|_| SendError::Underivable)?;
        keys.push(key.x_only_public_key().0);
        *k += 1;
    }
    Ok(keys)
}

/// `a`, the sum of the eligible inputs' keys. Intermediate sums may be zero.
fn secret_key_sum(inputs: &[Input]) -> Result<SecretKey, SendError> {
    let mut keys = inputs
        .iter()
        .filter_map(|input| match input.key {
            InputKey::Ecdsa(key) => Some(key),
            InputKey::Taproot(key) if key.x_only_public_key(&SECP).1 == Parity::Odd => Some(key.negate()),
            InputKey::Taproot(key) => Some(key),
            InputKey::Ineligible => None,
        })
        .peekable();
    keys.peek().ok_or(SendError::NoEligibleInput)?;
    // `SecretKey` cannot be zero: `None` stands for it.
    let sum = keys.fold(None, |sum: Option<SecretKey>, key| match sum {
        None => Some(key),
        Some(sum) => sum.add_tweak(&key.into()).ok(),
    });
    sum.ok_or(SendError::KeysCancelOut)
}

#[cfg(test)]
mod tests;
