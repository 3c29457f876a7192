//! Silent payment addresses (BIP352 "Address encoding").

use std::fmt;
use std::str::FromStr;

use bech32::primitives::decode::{ChecksumError, UncheckedHrpstring};
use bech32::primitives::iter::{ByteIterExt as _, Fe32IterExt as _};
use bech32::{Bech32, Bech32m, Fe32, Hrp};
use bitcoin::secp256k1::PublicKey;

/// Longest address (BIP352: the checksum of bech32m finds errors in up to 1023 characters).
pub const MAX_LENGTH: usize = 1023;

/// The two public keys of every version so far.
const KEYS_LENGTH: usize = 66;
/// 66 bytes in characters of five bits, the last two bits being padding.
const KEYS_CHARACTERS: usize = 106;
/// Version 31 is reserved for an incompatible change (BIP352).
const INCOMPATIBLE_VERSION: u8 = 31;

/// The network of an address, which determines its human-readable part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// Main chain, prefix `sp`.
    Main,
    /// Every testnet and signet, prefix `tsp`.
    Test,
    /// Regtest, prefix `sprt`.
    Regtest,
}

impl Network {
    const ALL: [Self; 3] = [Self::Main, Self::Test, Self::Regtest];

    /// The human-readable part, in lower case.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Main => "sp",
            Self::Test => "tsp",
            Self::Regtest => "sprt",
        }
    }
}

impl From<bitcoin::Network> for Network {
    fn from(network: bitcoin::Network) -> Self {
        match network {
            bitcoin::Network::Bitcoin => Self::Main,
            bitcoin::Network::Regtest => Self::Regtest,
            // Testnet 3, testnet 4, signet, and future testnets.
            _ => Self::Test,
        }
    }
}

/// A silent payment address: the two public keys of the receiver, and the network.
///
/// Parsing accepts versions 0 to 30; `Display` writes version 0, the fallback for payments to later versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SilentPaymentAddress {
    /// The chain.
    pub network: Network,
    /// `B_scan`.
    pub scan: PublicKey,
    /// `B_spend`, or `B_m` of a labelled address.
    pub spend: PublicKey,
}

/// Why an address is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The text is longer than any address.
    #[error("the address has {0} characters: expected at most {MAX_LENGTH}")]
    TooLong(usize),
    /// A character or the overall form is wrong.
    #[error("the address is not a bech32m string: {0}")]
    NotBech32m(String),
    /// Something else than a silent payment address, such as an ordinary Bitcoin address.
    #[error("the address begins with {0}1: expected sp1, tsp1 or sprt1")]
    UnknownPrefix(String),
    /// The checksum is that of bech32, used for version 0 witness programs.
    #[error("the checksum is bech32: expected bech32m")]
    OldChecksum,
    /// A character is wrong, missing or too many.
    #[error("the checksum does not match: a character is wrong or missing")]
    Checksum,
    /// Version 31 is reserved for addresses that this version cannot read.
    #[error("address version 31 is not supported: update the software")]
    Version31,
    /// Too short, or too long for version 0.
    #[error(
        "the data of a version {version} address has {characters} characters: expected 106 (two public keys of 33 bytes)"
    )]
    Length {
        /// Version of the address.
        version: u8,
        /// Characters between version and checksum.
        characters: usize,
    },
    /// Bits after the last byte are set.
    #[error("the padding bits are not zero")]
    Padding,
    /// The first 33 bytes are not a point on the curve.
    #[error("the scan key is not a compressed public key")]
    ScanKey,
    /// The second 33 bytes are not a point on the curve.
    #[error("the spend key is not a compressed public key")]
    SpendKey,
}

impl fmt::Display for SilentPaymentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hrp = Hrp::parse_unchecked(self.network.prefix());
        let keys = self.scan.serialize().into_iter().chain(self.spend.serialize());
        let characters = keys
            .bytes_to_fes()
            .with_checksum::<Bech32m>(&hrp)
            .with_witness_version(Fe32::Q)
            .chars();
        f.pad(&characters.collect::<String>())
    }
}

impl FromStr for SilentPaymentAddress {
    type Err = AddressError;

    fn from_str(address: &str) -> Result<Self, AddressError> {
        if address.len() > MAX_LENGTH {
            return Err(AddressError::TooLong(address.len()));
        }
        let unchecked = UncheckedHrpstring::new(address).map_err(|e| AddressError::NotBech32m(e.to_string()))?;
        let prefix = unchecked.hrp().to_lowercase();
        let network = Network::ALL
            .into_iter()
            .find(|network| network.prefix() == prefix)
            .ok_or(AddressError::UnknownPrefix(prefix))?;
        let has_old_checksum = unchecked.has_valid_checksum::<Bech32>();
        let checked = unchecked
            .validate_and_remove_checksum::<Bech32m>()
            .map_err(|e| match e {
                ChecksumError::InvalidResidue if has_old_checksum => AddressError::OldChecksum,
                _ => AddressError::Checksum,
            })?;

        let mut data = checked.fe32_iter::<std::vec::IntoIter<u8>>();
        let version = data
            .next()
            .ok_or(AddressError::Length {
                version: 0,
                characters: 0,
            })?
            .to_u8();
        let payload: Vec<Fe32> = data.collect();
        let wrong_length = AddressError::Length {
            version,
            characters: payload.len(),
        };
        match version {
            INCOMPATIBLE_VERSION => return Err(AddressError::Version31),
            0 if payload.len() != KEYS_CHARACTERS => return Err(wrong_length),
            // Two of the last character's five bits are padding; a later version may use them.
            0 if payload.last().is_some_and(|last| last.to_u8() & 0b11 != 0) => return Err(AddressError::Padding),
            _ => {}
        }
        let keys: Vec<u8> = payload.into_iter().fes_to_bytes().take(KEYS_LENGTH).collect();
        let (scan, spend) = keys.split_at_checked(KEYS_LENGTH / 2).ok_or(wrong_length.clone())?;
        if spend.len() != KEYS_LENGTH / 2 {
            return Err(wrong_length);
        }
        Ok(Self {
            network,
            scan: PublicKey::from_slice(scan).map_err(|_| AddressError::ScanKey)?,
            spend: PublicKey::from_slice(spend).map_err(|_| AddressError::SpendKey)?,
        })
    }
}

#[cfg(test)]
mod tests;
