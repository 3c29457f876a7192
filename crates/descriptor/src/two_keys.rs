//! Two keys: a private one for scanning and a public one for spending (BIP392, `sp(KEY,KEY)`).

use std::str::FromStr;
use std::sync::LazyLock;

use bitcoin::bip32::{DerivationPath, Xpriv};
use bitcoin::secp256k1::{All, PublicKey, Secp256k1};
use bitcoin::{NetworkKind, PrivateKey, base58};
use miniscript::DescriptorPublicKey;
use miniscript::descriptor::SinglePubKey;
use sdk_relay_bip352::ScanKey;
use zeroize::Zeroizing;

use crate::error::DescriptorError;
use crate::keys::Keys;
use crate::origin::without_origin;

/// Creating one costs more than a derivation.
static SECP: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

pub(crate) fn keys(scan: &str, spend: &str) -> Result<Keys, DescriptorError> {
    let (scan, scan_network) = scan_key(without_origin(scan)?)?;
    let (spend, spend_network) = spend_key(spend)?;
    // A public key in hex has no network.
    if spend_network.is_some_and(|network| network != scan_network) {
        return Err(DescriptorError::Networks);
    }
    Ok(Keys {
        scan,
        spend,
        is_mainnet: scan_network == NetworkKind::Main,
    })
}

/// WIF, or an extended private key with a path.
fn scan_key(text: &str) -> Result<(ScanKey, NetworkKind), DescriptorError> {
    let (key, path) = text.split_once('/').unwrap_or((text, ""));
    let bytes = Zeroizing::new(base58::decode_check(key).map_err(|_| DescriptorError::TwoKeysScan)?);
    if let Ok(extended) = Xpriv::decode(&bytes) {
        let path = DerivationPath::from_str(path).map_err(|_| DescriptorError::TwoKeysScan)?;
        let derived = extended
            .derive_priv(&*SECP, &path)
            .map_err(|_| DescriptorError::TwoKeysScan)?;
        return Ok((derived.private_key.into(), extended.network));
    }
    match PrivateKey::from_wif(key) {
        Ok(key) if key.compressed && path.is_empty() && !text.ends_with('/') => Ok((key.inner.into(), key.network)),
        _ => Err(DescriptorError::TwoKeysScan),
    }
}

/// A compressed public key, or an extended one with a path.
fn spend_key(text: &str) -> Result<(PublicKey, Option<NetworkKind>), DescriptorError> {
    if text.starts_with("musig(") {
        return Err(DescriptorError::Musig);
    }
    if is_private(without_origin(text)?) {
        return Err(DescriptorError::Spends);
    }
    let key = DescriptorPublicKey::from_str(text).map_err(|_| DescriptorError::TwoKeysSpend)?;
    let network = match &key {
        DescriptorPublicKey::Single(single) => match single.key {
            SinglePubKey::FullKey(key) if key.compressed => None,
            _ => return Err(DescriptorError::TwoKeysSpend),
        },
        DescriptorPublicKey::XPub(extended) => Some(extended.xkey.network),
        DescriptorPublicKey::MultiXPub(_) => return Err(DescriptorError::TwoKeysSpend),
    };
    if key.has_wildcard() {
        return Err(DescriptorError::TwoKeysSpend);
    }
    let definite = key.at_derivation_index(0).map_err(|_| DescriptorError::TwoKeysSpend)?;
    Ok((definite.derive_public_key(&*SECP).inner, network))
}

fn is_private(key: &str) -> bool {
    let (key, _) = key.split_once('/').unwrap_or((key, ""));
    let is_encoded = ["spspend1", "tspspend1"].iter().any(|prefix| key.starts_with(prefix));
    is_encoded || PrivateKey::from_wif(key).is_ok() || Xpriv::from_str(key).is_ok()
}
