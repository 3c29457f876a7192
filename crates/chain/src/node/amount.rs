//! Outputs and amounts in the node's JSON.

use bitcoin::{Amount, Denomination, ScriptBuf, TxOut};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::value::RawValue;

/// An output as `gettxout` and the `prevout` of `getblock` verbosity 3 give it.
#[derive(Debug, Deserialize)]
pub(super) struct JsonOutput {
    value: Btc,
    #[serde(rename = "scriptPubKey")]
    script_pubkey: JsonScript,
}

#[derive(Debug, Deserialize)]
struct JsonScript {
    hex: ScriptBuf,
}

impl From<JsonOutput> for TxOut {
    fn from(output: JsonOutput) -> Self {
        Self {
            value: output.value.0,
            script_pubkey: output.script_pubkey.hex,
        }
    }
}

/// An amount that the node writes as a decimal number of bitcoins. It is read digit by digit and never becomes a float.
#[derive(Debug)]
pub(super) struct Btc(pub(super) Amount);

impl<'de> Deserialize<'de> for Btc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Amount::from_str_in(raw.get(), Denomination::Bitcoin)
            .map(Self)
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (text, sats) in [
            ("0.00000001", 1),
            ("20999999.97690000", 2_099_999_997_690_000),
            ("0.1", 10_000_000),
            ("50", 5_000_000_000),
        ] {
            assert_eq!(serde_json::from_str::<Btc>(text).unwrap().0.to_sat(), sats, "{text}");
        }
        for text in ["-1", "0.000000001", "\"1\"", "null", "1e400"] {
            assert!(serde_json::from_str::<Btc>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_output_of_gettxout() {
        let json = r#"{"bestblock":"00","confirmations":1,"value":1.50000000,"scriptPubKey":{"asm":"1","hex":"51"},"coinbase":false}"#;
        let output: TxOut = serde_json::from_str::<JsonOutput>(json).unwrap().into();
        assert_eq!(
            output,
            TxOut {
                value: Amount::from_sat(150_000_000),
                script_pubkey: ScriptBuf::from_bytes(vec![0x51])
            }
        );
    }
}
