//! The record of an output of the relay's own wallets in the store, as JSON.
//!
//! A payment that a reorganisation can revert is stored as its notification, as format 2 of the store has it, with
//! `confirmed` and `spend` in addition; a final one as a `coin`, until its spend is final too.

use std::sync::Arc;

use bitcoin::OutPoint;
use sdk_relay_protocol::{EncodeError, Payment, encode};
use serde::{Deserialize, Serialize};

use super::known_payment::{InvalidPayment, KnownPayment};
use super::spend::{Coin, Spend};

/// An output in a ledger.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Output {
    pub(super) known: Known,
    /// Its spend, if one is reported that can be reverted.
    pub(super) spend: Option<Spend>,
}

/// The payment of an output.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Known {
    /// It can be reverted.
    Recent(KnownPayment),
    /// It is final.
    Final(Coin),
}

/// Why a record cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Payment(#[from] InvalidPayment),
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
enum Record {
    Recent {
        #[serde(flatten)]
        payment: Box<Payment>,
        #[serde(default, skip_serializing_if = "is_zero")]
        confirmed: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        spend: Option<Spend>,
    },
    Final {
        coin: CoinRecord,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        spend: Option<Spend>,
    },
}

#[derive(Debug, Deserialize, Serialize)]
struct CoinRecord {
    amount_sats: u64,
    address: String,
    label: Option<u32>,
    height: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Output {
    /// The record of the output.
    pub(super) fn encode(self, outpoint: OutPoint) -> Result<Vec<u8>, EncodeError> {
        let spend = self.spend;
        let record = match self.known {
            Known::Recent(payment) => Record::Recent {
                payment: Box::new(payment.to_payment(outpoint)),
                confirmed: payment.confirmed,
                spend,
            },
            Known::Final(coin) => Record::Final {
                coin: coin.into(),
                spend,
            },
        };
        encode(&record)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (known, spend) = match serde_json::from_slice(bytes)? {
            Record::Recent {
                payment,
                confirmed,
                spend,
            } => (Known::Recent(KnownPayment::from_payment(&payment, confirmed)?), spend),
            Record::Final { coin, spend } => (Known::Final(coin.into()), spend),
        };
        Ok(Self { known, spend })
    }
}

impl From<Coin> for CoinRecord {
    fn from(coin: Coin) -> Self {
        Self {
            amount_sats: coin.amount_sats,
            address: coin.address.to_string(),
            label: coin.label,
            height: coin.height,
        }
    }
}

impl From<CoinRecord> for Coin {
    fn from(record: CoinRecord) -> Self {
        Self {
            amount_sats: record.amount_sats,
            address: Arc::from(record.address),
            label: record.label,
            height: record.height,
        }
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash as _;
    use bitcoin::{BlockHash, Txid};

    use super::*;

    fn payment(block: Option<(u32, BlockHash)>) -> KnownPayment {
        KnownPayment {
            block,
            confirmations: block.map_or(0, |_| 3),
            confirmed: block.map_or(0, |_| 3),
            timestamp: 1_700_000_000,
            amount_sats: 123_456_789,
            fee_sats: Some(200),
            size: 162,
            address: "sprt1qq".into(),
            label: Some(7),
            key: Some([8; 32]),
            tweak: None,
            historical: false,
        }
    }

    fn outpoint() -> OutPoint {
        OutPoint::new(Txid::from_byte_array([5; 32]), 3)
    }

    #[test]
    fn an_output_is_read_as_it_was_written() {
        let block = Some((800_000, BlockHash::from_byte_array([9; 32])));
        let spend = |vin, block| Spend {
            by: Some(Txid::from_byte_array([6; 32])),
            vin,
            block,
            timestamp: 1_700_000_600,
            fee_sats: vin.map(|_| 250),
        };
        let recent = [None, block].map(|block| Known::Recent(payment(block)));
        for known in recent.into_iter().chain([Known::Final(payment(block).to_coin())]) {
            for spend in [None, Some(spend(Some(2), None)), Some(spend(None, block))] {
                let known = known.clone();
                let output = Output { known, spend };
                let bytes = output.clone().encode(outpoint()).unwrap();
                assert_eq!(Output::decode(&bytes).unwrap(), output);
            }
        }
    }

    #[test]
    fn a_payment_of_format_2_is_read() {
        for block in [None, Some((800_000, BlockHash::from_byte_array([9; 32])))] {
            let payment = KnownPayment {
                confirmed: 0,
                ..payment(block)
            };
            let bytes = encode(&payment.to_payment(outpoint())).unwrap();
            let known = Known::Recent(payment);
            assert_eq!(Output::decode(&bytes).unwrap(), Output { known, spend: None });
        }
    }

    #[test]
    fn a_payment_whose_block_is_half_known_is_an_error() {
        let payment = payment(None).to_payment(outpoint());
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
            let error = Output::decode(&encode(&payment).unwrap()).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(Output::decode(b"{").is_err());
    }
}
