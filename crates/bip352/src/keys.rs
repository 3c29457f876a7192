//! A receiver's keys and labels.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;

use bitcoin::hashes::{Hash as _, HashEngine as _, sha256};
use bitcoin::hex::FromHex as _;
use bitcoin::secp256k1::{PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::address::{Network, SilentPaymentAddress};
use crate::curve::SECP;
use crate::hash;

/// The label of change that the wallet sends to itself (BIP352 "Labels"): always scanned, never given out.
pub const CHANGE_LABEL: u32 = 0;

/// `b_scan`. It reveals every payment; it cannot spend.
///
/// Zeroised on drop, and stored on the heap, so that a move leaves no copies. Created from 64 hex digits, from bytes,
/// or from a `SecretKey`; zeroising those is up to the caller.
#[derive(Clone)]
pub struct ScanKey(Box<SecretKey>);

/// Why a scan key is invalid. The error never contains the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanKeyError {
    /// Wrong length, or a character that is not a hex digit.
    #[error("expected 64 hex digits")]
    NotHex,
    /// Zero, or the group order or more.
    #[error("not a valid private key: it is zero, or not below the order of the curve")]
    OutOfRange,
}

impl ScanKey {
    /// Takes the 32 bytes, big-endian.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, ScanKeyError> {
        SecretKey::from_slice(bytes)
            .map(Self::from)
            .map_err(|_| ScanKeyError::OutOfRange)
    }

    /// `B_scan`.
    pub fn public_key(&self) -> PublicKey {
        self.0.public_key(&SECP)
    }

    /// The 32 bytes, big-endian, for an export of the key.
    pub fn expose_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.secret_bytes())
    }

    pub(crate) fn secret(&self) -> &SecretKey {
        &self.0
    }
}

impl From<SecretKey> for ScanKey {
    fn from(mut key: SecretKey) -> Self {
        let boxed = Box::new(key);
        key.non_secure_erase();
        Self(boxed)
    }
}

impl FromStr for ScanKey {
    type Err = ScanKeyError;

    fn from_str(hex: &str) -> Result<Self, ScanKeyError> {
        let bytes = Zeroizing::new(<[u8; 32]>::from_hex(hex).map_err(|_| ScanKeyError::NotHex)?);
        Self::from_bytes(&bytes)
    }
}

impl Drop for ScanKey {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

impl fmt::Debug for ScanKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScanKey(..)")
    }
}

/// Why a label cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Label 0 marks change: payments to a published address with it would look like change.
    #[error("label 0 is reserved for change: use a label from 1")]
    Change,
    /// Payments to it would not be found.
    #[error("label {0} is not one of the receiver's labels: add it first")]
    NotScanned(u32),
    /// The label's point and the spend key cancel out, which happens only with a crafted spend key.
    #[error("label {0} does not yield a valid address with this spend key")]
    Unusable(u32),
}

/// The keys to find the payments of one wallet: `b_scan`, `B_spend`, and the labels' points.
#[derive(Clone)]
pub struct Receiver {
    scan: ScanKey,
    scan_public: PublicKey,
    spend: PublicKey,
    labels: Vec<Label>,
    by_point: HashMap<[u8; 33], usize>,
}

impl Receiver {
    /// A receiver for the unlabelled address, the change label, and `labels` (in any order, repetitions allowed).
    pub fn new(scan: ScanKey, spend: PublicKey, labels: impl IntoIterator<Item = u32>) -> Result<Self, LabelError> {
        let numbers: BTreeSet<u32> = labels.into_iter().chain([CHANGE_LABEL]).collect();
        let labels = numbers
            .into_iter()
            .map(|m| Label::new(scan.secret(), &spend, m).ok_or(LabelError::Unusable(m)))
            .collect::<Result<Vec<_>, _>>()?;
        let by_point = labels
            .iter()
            .enumerate()
            .map(|(i, label)| (label.point.serialize(), i))
            .collect();
        Ok(Self {
            scan_public: scan.public_key(),
            scan,
            spend,
            labels,
            by_point,
        })
    }

    /// The address without a label.
    pub fn address(&self, network: Network) -> SilentPaymentAddress {
        SilentPaymentAddress {
            network,
            scan: self.scan_public,
            spend: self.spend,
        }
    }

    /// The address with label `m`, which must be one of the receiver. Label 0 is refused.
    pub fn labelled_address(&self, network: Network, m: u32) -> Result<SilentPaymentAddress, LabelError> {
        if m == CHANGE_LABEL {
            return Err(LabelError::Change);
        }
        self.address_with(network, m)
    }

    /// The address to which the wallet itself sends its change. Must never be shown or given out (BIP352 "Labels").
    pub fn change_address(&self, network: Network) -> Result<SilentPaymentAddress, LabelError> {
        self.address_with(network, CHANGE_LABEL)
    }

    /// `b_scan`.
    pub fn scan_key(&self) -> &ScanKey {
        &self.scan
    }

    /// `B_scan`.
    pub fn scan_public_key(&self) -> PublicKey {
        self.scan_public
    }

    /// `B_spend`.
    pub fn spend_public_key(&self) -> PublicKey {
        self.spend
    }

    /// A hash of the public keys and the labels: equal for receivers that find the same payments. The keys cannot be
    /// derived from it.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut engine = sha256::Hash::engine();
        engine.input(&self.scan_public.serialize());
        engine.input(&self.spend.serialize());
        for label in &self.labels {
            engine.input(&label.number.to_le_bytes());
        }
        sha256::Hash::from_engine(engine).to_byte_array()
    }

    /// The scanned labels, ascending; 0 is always the first.
    pub fn labels(&self) -> impl Iterator<Item = u32> + '_ {
        self.labels.iter().map(|label| label.number)
    }

    pub(crate) fn scan_secret(&self) -> &SecretKey {
        self.scan.secret()
    }

    pub(crate) fn label_points(&self) -> &[Label] {
        &self.labels
    }

    pub(crate) fn label_at(&self, point: &PublicKey) -> Option<&Label> {
        self.labels.get(*self.by_point.get(&point.serialize())?)
    }

    fn address_with(&self, network: Network, m: u32) -> Result<SilentPaymentAddress, LabelError> {
        let label = self
            .labels
            .iter()
            .find(|label| label.number == m)
            .ok_or(LabelError::NotScanned(m))?;
        let spend = self.spend.combine(&label.point).map_err(|_| LabelError::Unusable(m))?;
        Ok(SilentPaymentAddress {
            network,
            scan: self.scan_public,
            spend,
        })
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// A label's number `m`, its tweak and its tweak times G.
#[derive(Clone)]
pub(crate) struct Label {
    pub(crate) number: u32,
    tweak: Zeroizing<[u8; 32]>,
    pub(crate) point: PublicKey,
}

impl Label {
    fn new(scan: &SecretKey, spend: &PublicKey, number: u32) -> Option<Self> {
        let mut tweak = hash::label_tweak(scan, number)?;
        let point = tweak.public_key(&SECP);
        let label = Self {
            number,
            tweak: Zeroizing::new(tweak.secret_bytes()),
            point,
        };
        tweak.non_secure_erase();
        spend.combine(&point).ok()?;
        Some(label)
    }

    /// `t_k` plus the label's tweak.
    pub(crate) fn add_to(&self, mut t_k: SecretKey) -> Option<SecretKey> {
        let mut tweak = SecretKey::from_slice(self.tweak.as_slice()).ok()?;
        let sum = t_k.add_tweak(&tweak.into()).ok();
        tweak.non_secure_erase();
        t_k.non_secure_erase();
        sum
    }
}

#[cfg(test)]
mod tests;
