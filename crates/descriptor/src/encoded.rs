//! The key `spscan1q…`: bech32m of version, scan private key and spend public key (BIP392).

use bech32::primitives::decode::UncheckedHrpstring;
use bech32::primitives::iter::{ByteIterExt as _, Fe32IterExt as _};
use bech32::{Bech32m, Fe32, Hrp};
use bitcoin::secp256k1::PublicKey;
use sdk_relay_bip352::ScanKey;
use zeroize::Zeroizing;

use crate::error::DescriptorError;
use crate::keys::Keys;

const SCAN_LENGTH: usize = 32;
const LENGTH: usize = SCAN_LENGTH + 33;
/// 65 bytes are 104 characters of five bits, without padding.
const CHARACTERS: usize = LENGTH * 8 / 5;

const CHECKSUM: usize = 6;
const MAINNET: Hrp = Hrp::parse_unchecked("spscan");
const TEST_NETWORK: Hrp = Hrp::parse_unchecked("tspscan");

/// The key as text.
pub(crate) fn encode(scan: &ScanKey, spend: &PublicKey, is_mainnet: bool) -> Zeroizing<String> {
    let prefix = if is_mainnet { MAINNET } else { TEST_NETWORK };
    let mut bytes = Zeroizing::new([0; LENGTH]);
    let (secret, public) = bytes.split_at_mut(SCAN_LENGTH);
    secret.copy_from_slice(&*scan.expose_bytes());
    public.copy_from_slice(&spend.serialize());
    // Reserved at once: a string that grows leaves copies of the key behind. With separator and version.
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + 2 + CHARACTERS + CHECKSUM));
    let characters = bytes.iter().copied().bytes_to_fes();
    let characters = characters.with_checksum::<Bech32m>(&prefix);
    text.extend(characters.with_witness_version(Fe32::Q).chars());
    text
}

pub(crate) fn keys(text: &str) -> Result<Keys, DescriptorError> {
    let prefix = text.split_once('1').map(|(prefix, _)| prefix.to_lowercase());
    let is_mainnet = match prefix.as_deref() {
        Some("spscan") => true,
        Some("tspscan") => false,
        Some("spspend" | "tspspend") => return Err(DescriptorError::Spends),
        _ => return Err(DescriptorError::NotEncoded),
    };
    let checked = UncheckedHrpstring::new(text)
        .ok()
        .and_then(|unchecked| unchecked.validate_and_remove_checksum::<Bech32m>().ok())
        .ok_or(DescriptorError::Encoded)?;
    let characters = || checked.fe32_iter::<std::vec::IntoIter<u8>>();
    let mut data = characters();
    match data.next().map(Fe32::to_u8) {
        Some(0) => {}
        Some(version) => return Err(DescriptorError::Version(version)),
        None => return Err(DescriptorError::Encoded),
    }
    // With the version.
    if characters().count() != CHARACTERS + 1 {
        return Err(DescriptorError::Encoded);
    }
    let mut bytes = Zeroizing::new([0; LENGTH]);
    for (place, byte) in bytes.iter_mut().zip(data.fes_to_bytes()) {
        *place = byte;
    }
    let (scan, spend) = bytes
        .split_first_chunk::<SCAN_LENGTH>()
        .ok_or(DescriptorError::Encoded)?;
    Ok(Keys {
        scan: ScanKey::from_bytes(scan).map_err(|_| DescriptorError::ScanKey)?,
        spend: PublicKey::from_slice(spend).map_err(|_| DescriptorError::SpendKey)?,
        is_mainnet,
    })
}
