//! Compact form of a payment in ledgers: a sixth of the size of its notification.

use std::sync::Arc;

use bitcoin::hex::HexToArrayError;
use bitcoin::{BlockHash, OutPoint};
use sdk_relay_bip352::OutputTweak;
use sdk_relay_protocol::{Payment, SecretHex, btc};

/// Contents of the notification of an output, without the outpoint and the watch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KnownPayment {
    /// Height and hash of its block; `None` in the mempool.
    pub(super) block: Option<(u32, BlockHash)>,
    pub(super) confirmations: u32,
    /// Unix seconds.
    pub(super) timestamp: u64,
    pub(super) amount_sats: u64,
    pub(super) fee_sats: Option<u64>,
    /// Serialised size of the transaction in bytes.
    pub(super) size: u64,
    /// Shared by all payments of a watch to it.
    pub(super) address: Arc<str>,
    pub(super) label: Option<u32>,
    /// `None` for the relay's own wallets.
    pub(super) tweak: Option<OutputTweak>,
    pub(super) historical: bool,
}

/// Why a stored payment cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoredPaymentError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("block_hash: {0}")]
    Hash(#[from] HexToArrayError),
    #[error("it has one of block_height and block_hash, not both")]
    Block,
}

impl KnownPayment {
    /// Decodes a stored payment to the relay's own wallets.
    pub(super) fn from_store(bytes: &[u8]) -> Result<Self, StoredPaymentError> {
        let payment: Payment = serde_json::from_slice(bytes)?;
        let block = match (payment.block_height, &payment.block_hash) {
            (Some(height), Some(hash)) => Some((height, hash.parse()?)),
            (None, None) => None,
            _ => return Err(StoredPaymentError::Block),
        };
        Ok(Self {
            block,
            confirmations: payment.confirmations,
            timestamp: payment.timestamp,
            amount_sats: payment.amount_sats,
            fee_sats: payment.fee_sats,
            size: payment.size,
            address: payment.address.as_str().into(),
            label: payment.label,
            tweak: None,
            historical: payment.historical,
        })
    }

    /// The form for notifications and for the store.
    pub(super) fn to_payment(&self, outpoint: OutPoint) -> Payment {
        Payment {
            txid: outpoint.txid.to_string(),
            block_height: self.block.map(|(height, _)| height),
            block_hash: self.block.map(|(_, hash)| hash.to_string()),
            amount: btc(self.amount_sats),
            address: self.address.to_string(),
            confirmations: self.confirmations,
            timestamp: self.timestamp,
            fee: self.fee_sats.map(btc),
            size: self.size,
            vout: outpoint.vout,
            tweak: self.tweak.as_ref().map(|tweak| SecretHex::new(tweak.to_hex())),
            label: self.label,
            watch_id: None,
            amount_sats: self.amount_sats,
            fee_sats: self.fee_sats,
            replaced_by: None,
            historical: self.historical,
        }
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::Txid;
    use bitcoin::hashes::Hash;
    use sdk_relay_protocol::encode;

    use super::*;

    fn own(block: Option<(u32, BlockHash)>) -> KnownPayment {
        KnownPayment {
            block,
            confirmations: block.map_or(0, |_| 1),
            timestamp: 1_700_000_000,
            amount_sats: 123_456_789,
            fee_sats: Some(200),
            size: 162,
            address: "sprt1qq".into(),
            label: Some(7),
            tweak: None,
            historical: false,
        }
    }

    #[test]
    fn a_payment_of_the_store_is_read_as_it_was_written() {
        let outpoint = OutPoint::new(Txid::from_byte_array([5; 32]), 3);
        for block in [None, Some((800_000, BlockHash::from_byte_array([9; 32])))] {
            let bytes = encode(&own(block).to_payment(outpoint)).unwrap();
            assert_eq!(KnownPayment::from_store(&bytes).unwrap(), own(block));
        }
    }

    #[test]
    fn a_payment_whose_block_is_half_known_is_an_error() {
        let payment = own(None).to_payment(OutPoint::null());
        let hash_alone = Payment {
            block_hash: Some("00".repeat(32)),
            ..payment.clone()
        };
        let no_hash = Payment {
            block_height: Some(1),
            block_hash: Some("0".into()),
            ..payment
        };
        for (payment, reason) in [(hash_alone, "not both"), (no_hash, "block_hash: ")] {
            let error = KnownPayment::from_store(&encode(&payment).unwrap()).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(KnownPayment::from_store(b"{").is_err());
    }
}
