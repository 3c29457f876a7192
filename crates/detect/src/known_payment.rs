//! Compact form of a payment in ledgers: a sixth of the size of its notification.

use std::sync::Arc;

use bitcoin::hex::{DisplayHex, FromHex, HexToArrayError};
use bitcoin::{BlockHash, OutPoint};
use sdk_relay_bip352::OutputTweak;
use sdk_relay_protocol::{Payment, SecretHex, btc};

use super::spend::Coin;

/// Contents of the notification of an output, without the outpoint and the watch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KnownPayment {
    /// Height and hash of its block; `None` in the mempool.
    pub(super) block: Option<(u32, BlockHash)>,
    /// As last reported.
    pub(super) confirmations: u32,
    /// Depths up to this one are reported, or were reached before the payment was found: `payment_confirmed` is sent
    /// for deeper ones only.
    pub(super) confirmed: u32,
    /// Unix seconds.
    pub(super) timestamp: u64,
    pub(super) amount_sats: u64,
    pub(super) fee_sats: Option<u64>,
    /// Serialised size of the transaction in bytes.
    pub(super) size: u64,
    /// Shared by all payments of a watch to it.
    pub(super) address: Arc<str>,
    pub(super) label: Option<u32>,
    /// X-only key of the output; `None` if it is not a taproot output.
    pub(super) key: Option<[u8; 32]>,
    /// `None` for the relay's own wallets.
    pub(super) tweak: Option<OutputTweak>,
    pub(super) historical: bool,
}

/// Why a stored payment is invalid.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidPayment {
    #[error("block_hash: {0}")]
    Hash(#[from] HexToArrayError),
    #[error("public_key: {0}")]
    Key(HexToArrayError),
    #[error("it has one of block_height and block_hash, not both")]
    Block,
}

impl KnownPayment {
    /// A stored payment to the relay's own wallets.
    pub(super) fn from_payment(payment: &Payment, confirmed: u32) -> Result<Self, InvalidPayment> {
        let block = match (payment.block_height, &payment.block_hash) {
            (Some(height), Some(hash)) => Some((height, hash.parse()?)),
            (None, None) => None,
            _ => return Err(InvalidPayment::Block),
        };
        let key = payment.public_key.as_deref().map(<[u8; 32]>::from_hex);
        Ok(Self {
            block,
            confirmations: payment.confirmations,
            confirmed,
            timestamp: payment.timestamp,
            amount_sats: payment.amount_sats,
            fee_sats: payment.fee_sats,
            size: payment.size,
            address: payment.address.as_str().into(),
            label: payment.label,
            key: key.transpose().map_err(InvalidPayment::Key)?,
            tweak: None,
            historical: payment.historical,
        })
    }

    /// What notifications about its spend repeat.
    pub(super) fn to_coin(&self) -> Coin {
        Coin {
            amount_sats: self.amount_sats,
            address: Arc::clone(&self.address),
            label: self.label,
            height: self.block.map_or(0, |(height, _)| height),
        }
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
            public_key: self.key.as_ref().map(DisplayHex::to_lower_hex_string),
            spent_by: None,
            spent_height: None,
            replaced_by: None,
            historical: self.historical,
        }
    }
}
