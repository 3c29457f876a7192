//! Silent-payment descriptors `sp(…)` (BIP392) with their annotations (BIP393), in the forms that can scan and not
//! spend.
//!
//! ```text
//! sp([d34db33f/352h/0h/0h]spscan1q…)?bh=850000&ml=10#checksum
//! sp(SCAN,SPEND): WIF or xprv/…, and a public key in hex or xpub/…
//! ```
//!
//! A descriptor with a private spend key is refused: who only scans must never have one. No error contains any part of
//! the text but the name of an annotation.

mod annotations;
mod encoded;
mod error;
mod keys;
mod origin;
mod two_keys;

use std::str::FromStr;

use bitcoin::secp256k1::PublicKey;
use miniscript::descriptor::checksum::Engine;
use sdk_relay_bip352::ScanKey;
use zeroize::Zeroizing;

use annotations::Annotations;
use origin::without_origin;

pub use error::{DescriptorError, MAX_LENGTH};

/// The keys and the facts of a wallet that only scans.
#[derive(Clone, Debug)]
pub struct ScanDescriptor {
    /// `b_scan`.
    pub scan: ScanKey,
    /// `B_spend`.
    pub spend: PublicKey,
    /// Whether its keys are those of the main network; otherwise they are of any test network.
    pub is_mainnet: bool,
    /// `bh`: the wallet has no payment below this height.
    pub birthday: Option<u32>,
    /// `ml`: the highest label in use.
    pub highest_label: Option<u32>,
}

impl FromStr for ScanDescriptor {
    type Err = DescriptorError;

    /// Parses a descriptor; spaces around it are ignored. The checksum may be missing (BIP380).
    fn from_str(text: &str) -> Result<Self, DescriptorError> {
        let text = text.trim();
        if text.len() > MAX_LENGTH {
            return Err(DescriptorError::TooLong);
        }
        let body = without_checksum(text)?;
        let (script, annotations) = match body.split_once('?') {
            Some((script, annotations)) => (script, Annotations::parse(annotations)?),
            None => (body, Annotations::default()),
        };
        let keys = script
            .strip_prefix("sp(")
            .and_then(|rest| rest.strip_suffix(')'))
            .ok_or(DescriptorError::NotSilent)?;
        let keys = match keys.split_once(',') {
            None => encoded::keys(without_origin(keys)?)?,
            Some((scan, spend)) => two_keys::keys(scan, spend)?,
        };
        Ok(Self {
            scan: keys.scan,
            spend: keys.spend,
            is_mainnet: keys.is_mainnet,
            birthday: annotations.birthday,
            highest_label: annotations.highest_label,
        })
    }
}

/// The descriptor of a wallet: `sp(spscan1q…)#checksum`, of a test network `sp(tspscan1q…)#checksum`. Whoever has it
/// sees all payments of the wallet, and cannot spend them.
pub fn describe(scan: &ScanKey, spend: &PublicKey, is_mainnet: bool) -> Result<Zeroizing<String>, DescriptorError> {
    let key = encoded::encode(scan, spend, is_mainnet);
    let mut text = Zeroizing::new(String::with_capacity(key.len() + 16));
    text.push_str("sp(");
    text.push_str(&key);
    text.push(')');
    let mut engine = Engine::new();
    engine.input(&text).map_err(|_| DescriptorError::Character)?;
    text.push('#');
    text.push_str(&engine.checksum());
    Ok(text)
}

/// Checks and removes `#CHECKSUM`.
fn without_checksum(text: &str) -> Result<&str, DescriptorError> {
    let (body, checksum) = match text.split_once('#') {
        Some((body, checksum)) => (body, Some(checksum)),
        None => (text, None),
    };
    let mut engine = Engine::new();
    engine.input(body).map_err(|_| DescriptorError::Character)?;
    if checksum.is_some_and(|checksum| checksum != engine.checksum()) {
        return Err(DescriptorError::Checksum);
    }
    Ok(body)
}

#[cfg(test)]
mod tests;
