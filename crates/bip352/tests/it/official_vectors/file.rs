//! The format of the file. Unknown fields are errors, so that a new field does not remain unchecked.

use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::secp256k1::schnorr::Signature;
use bitcoin::secp256k1::{PublicKey, SecretKey, XOnlyPublicKey};
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, TxIn, TxOut, Txid, Witness};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vector {
    pub(crate) comment: String,
    pub(crate) sending: Vec<Sending>,
    pub(crate) receiving: Vec<Receiving>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sending {
    pub(crate) given: SendingGiven,
    pub(crate) expected: SendingExpected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendingGiven {
    pub(crate) vin: Vec<Vin>,
    pub(crate) recipients: Vec<Recipient>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipient {
    pub(crate) address: String,
    pub(crate) scan_pub_key: PublicKey,
    pub(crate) spend_pub_key: PublicKey,
    pub(crate) count: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendingExpected {
    pub(crate) outputs: Vec<Vec<XOnlyPublicKey>>,
    pub(crate) shared_secrets: Vec<Option<PublicKey>>,
    pub(crate) input_private_key_sum: Option<SecretKey>,
    pub(crate) input_pub_keys: Vec<PublicKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Receiving {
    pub(crate) given: ReceivingGiven,
    pub(crate) expected: ReceivingExpected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceivingGiven {
    pub(crate) vin: Vec<Vin>,
    /// X-only keys as hex; not all of them are points.
    #[serde(deserialize_with = "keys")]
    pub(crate) outputs: Vec<[u8; 32]>,
    pub(crate) key_material: KeyMaterial,
    pub(crate) labels: Vec<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyMaterial {
    pub(crate) spend_priv_key: SecretKey,
    pub(crate) scan_priv_key: SecretKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceivingExpected {
    pub(crate) addresses: Vec<String>,
    pub(crate) outputs: Option<Vec<ExpectedOutput>>,
    pub(crate) n_outputs: Option<usize>,
    pub(crate) tweak: Option<PublicKey>,
    pub(crate) shared_secret: Option<PublicKey>,
    pub(crate) input_pub_key_sum: Option<PublicKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedOutput {
    pub(crate) priv_key_tweak: String,
    pub(crate) pub_key: XOnlyPublicKey,
    pub(crate) signature: Signature,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Vin {
    txid: Txid,
    vout: u32,
    script_sig: ScriptBuf,
    txinwitness: String,
    prevout: Prevout,
    #[serde(rename = "private_key")]
    pub(crate) private_key: Option<SecretKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Prevout {
    script_pub_key: Script,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    hex: ScriptBuf,
}

impl Vin {
    pub(crate) fn tx_in(&self) -> TxIn {
        let witness = match self.txinwitness.as_str() {
            "" => Witness::new(),
            hex => deserialize_hex(hex).expect("a witness"),
        };
        TxIn {
            previous_output: OutPoint::new(self.txid, self.vout),
            script_sig: self.script_sig.clone(),
            sequence: Sequence::MAX,
            witness,
        }
    }

    pub(crate) fn prevout(&self) -> TxOut {
        TxOut {
            value: Amount::from_sat(2000),
            script_pubkey: self.prevout.script_pub_key.hex.clone(),
        }
    }
}

fn keys<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<[u8; 32]>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let key = |text: &String| bitcoin::hex::FromHex::from_hex(text).map_err(serde::de::Error::custom);
    texts.iter().map(key).collect()
}
