//! Arbitrary bytes: any answer, and no panic.

use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};
use proptest::prelude::*;
use sdk_relay_bip352::{EligibleTx, Receiver, ScanKey, SilentPaymentAddress, input_public_key, scan, tweak};

use super::{config, secret_key};

/// Scripts that are nothing, or a known form around random bytes, or such a form cut off or made longer.
fn script() -> impl Strategy<Value = ScriptBuf> {
    let wrap = |prefix: &'static [u8], length: usize, suffix: &'static [u8]| {
        prop::collection::vec(any::<u8>(), length).prop_map(move |body| [prefix, &body, suffix].concat())
    };
    let known = prop_oneof![
        wrap(&[0x51, 0x20], 32, &[]),
        wrap(&[0x52, 0x20], 32, &[]),
        wrap(&[0x00, 0x14], 20, &[]),
        wrap(&[0xa9, 0x14], 20, &[0x87]),
        wrap(&[0x76, 0xa9, 0x14], 20, &[0x88, 0xac]),
        wrap(&[22, 0x00, 0x14], 20, &[]),
    ];
    let cut = (known.clone(), any::<prop::sample::Index>()).prop_map(|(mut bytes, at)| {
        bytes.truncate(at.index(bytes.len() + 1));
        bytes
    });
    let long = (known.clone(), bytes(5)).prop_map(|(bytes, more)| [bytes, more].concat());
    prop_oneof![4 => known, 1 => cut, 1 => long, 1 => bytes(80)].prop_map(ScriptBuf::from_bytes)
}

fn bytes(longest: usize) -> impl Strategy<Value = Vec<u8>> + Clone {
    prop::collection::vec(any::<u8>(), 0..=longest)
}

fn witness() -> impl Strategy<Value = Witness> {
    let annex = bytes(40).prop_map(|body| [vec![0x50], body].concat());
    let compressed = prop::collection::vec(any::<u8>(), 32).prop_map(|x| [vec![2], x].concat());
    let item = prop_oneof![bytes(70), annex, compressed, Just(vec![])];
    prop::collection::vec(item, 0..5).prop_map(|items| Witness::from_slice(&items))
}

fn prevout() -> impl Strategy<Value = TxOut> {
    (script(), any::<u64>()).prop_map(|(script_pubkey, sats)| TxOut {
        value: Amount::from_sat(sats),
        script_pubkey,
    })
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let input =
        (any::<[u8; 32]>(), any::<u32>(), script(), witness()).prop_map(|(txid, vout, script_sig, witness)| TxIn {
            previous_output: OutPoint::new(Txid::from_byte_array(txid), vout),
            script_sig,
            sequence: Sequence::MAX,
            witness,
        });
    (
        prop::collection::vec(input, 0..4),
        prop::collection::vec(prevout(), 0..4),
    )
        .prop_map(|(input, output)| Transaction {
            version: bitcoin::transaction::Version::TWO,
            lock_time: bitcoin::absolute::LockTime::ZERO,
            input,
            output,
        })
}

proptest! {
    #![proptest_config(config(1024))]

    #[test]
    fn any_input(script in script(), script_sig in script(), witness in witness()) {
        input_public_key(&script, &script_sig, &witness);
    }

    #[test]
    fn any_transaction(tx in transaction(), prevouts in prop::collection::vec(prevout(), 0..5), keys in (secret_key(), secret_key())) {
        let found = tweak(&tx, &prevouts);
        let eligible = EligibleTx::from_tx(&tx, &prevouts);
        prop_assert_eq!(eligible.as_ref().map(|tx| tx.tweak), found);
        if let Some(eligible) = eligible {
            prop_assert_eq!(prevouts.len(), tx.input.len());
            let receiver = Receiver::new(ScanKey::from(keys.0), keys.1.public_key(&Secp256k1::new()), 0..9).expect("labels");
            prop_assert_eq!(scan(&receiver, &eligible), vec![]);
        }
    }

    #[test]
    fn any_address(text in "\\PC{0,200}", tail in "[a-z0-9]{0,1200}") {
        prop_assert!(text.parse::<SilentPaymentAddress>().is_err());
        let with_prefix = ["sp1", &tail].concat();
        prop_assert!(with_prefix.parse::<SilentPaymentAddress>().is_err());
    }

    #[test]
    fn any_scan_key(text in "\\PC{0,70}", bytes in any::<[u8; 32]>()) {
        prop_assert!(text.parse::<ScanKey>().is_err());
        prop_assert_eq!(ScanKey::from_bytes(&bytes).is_ok(), bitcoin::secp256k1::SecretKey::from_slice(&bytes).is_ok());
    }
}
