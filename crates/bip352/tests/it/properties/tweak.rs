//! Public keys of inputs and tweaks of transactions.

use bitcoin::consensus::serialize;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Transaction, TxOut};
use proptest::prelude::*;
use sdk_relay_bip352::{EligibleTx, Engine, Fast, input_public_key, tweak};
use silentpayments::utils::OutPoint;
use silentpayments::utils::receiving::{calculate_tweak_data, get_pubkey_from_input};

use super::config;
use super::inputs::{TestInput, inputs, transaction};

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn tweaks_match_the_reference(mut inputs in inputs(), cancel in any::<bool>()) {
        if cancel {
            // The sum passes through infinity, or ends there.
            inputs.insert(1, inputs[0].negated());
        }
        let (tx, prevouts) = transaction(&inputs, &[[3; 32]]);
        for (input, prevout) in tx.input.iter().zip(&prevouts) {
            let ours = input_public_key(&prevout.script_pubkey, &input.script_sig, &input.witness);
            prop_assert_eq!(ours, their_public_key(input, prevout));
        }
        prop_assert_eq!(tweak(&tx, &prevouts), their_tweak(&tx, &prevouts));
    }

    /// Many at a time, on the machine's lanes, as one by one: sums through infinity and of equal keys, and outputs or
    /// prevouts missing.
    #[test]
    fn batches_match_single_calls(mut txs in prop::collection::vec((inputs(), 0..6_u8), 1..24)) {
        for (inputs, change) in &mut txs {
            match change {
                0 => inputs.insert(1, inputs[0].negated()),
                1 => inputs.push(inputs[0].clone()),
                2 => inputs.extend([inputs[0].clone(), inputs[0].negated(), inputs[0].clone()]),
                _ => {}
            }
        }
        let txs: Vec<_> = txs
            .iter()
            .map(|(inputs, change)| {
                let (mut tx, mut prevouts) = transaction(inputs, &[[3; 32]; 2][..1 + usize::from(*change) % 2]);
                match change {
                    4 => tx.output[0].script_pubkey = Default::default(),
                    5 => drop(prevouts.pop()),
                    _ => {}
                }
                (tx, prevouts)
            })
            .collect();
        let given: Vec<(&Transaction, &[TxOut])> = txs.iter().map(|(tx, prevouts)| (tx, prevouts.as_slice())).collect();
        let one_by_one: Vec<_> = given.iter().map(|(tx, prevouts)| tweak(tx, prevouts)).collect();
        for engine in Fast::all() {
            prop_assert_eq!(engine.tweaks(&given).expect("an answer"), &one_by_one[..], "{}", engine.name());
        }
    }

    #[test]
    fn a_transaction_without_taproot_output_or_with_missing_prevouts_has_no_tweak(inputs in inputs()) {
        let (mut tx, prevouts) = transaction(&inputs, &[[3; 32]]);
        prop_assert_eq!(tweak(&tx, &prevouts[1..]), None);
        prop_assert_eq!(tweak(&tx, &[&prevouts[..], &prevouts[..1]].concat()), None);
        tx.output[0].script_pubkey = prevouts.iter().map(|p| p.script_pubkey.clone()).find(|s| !s.is_p2tr()).unwrap_or_default();
        prop_assert_eq!(tweak(&tx, &prevouts), None);
    }

    #[test]
    fn eligible_transactions_keep_indices_and_amounts(inputs in inputs(), keys in prop::collection::vec(any::<[u8; 32]>(), 1..5)) {
        let (mut tx, prevouts) = transaction(&inputs, &keys);
        let other = TxOut { script_pubkey: Default::default(), ..tx.output[0].clone() };
        tx.output.insert(0, other);
        let Some(eligible) = EligibleTx::from_tx(&tx, &prevouts) else {
            prop_assert_eq!(tweak(&tx, &prevouts), None);
            return Ok(());
        };
        prop_assert_eq!(eligible.txid, tx.compute_txid());
        prop_assert_eq!(eligible.outputs.len(), keys.len());
        for (i, (output, key)) in eligible.outputs.iter().zip(&keys).enumerate() {
            prop_assert_eq!((output.vout as usize, &output.key, output.amount), (i + 1, key, tx.output[i + 1].value));
        }
    }
}

fn their_public_key(input: &bitcoin::TxIn, prevout: &TxOut) -> Option<PublicKey> {
    let script_pubkey = prevout.script_pubkey.as_bytes();
    get_pubkey_from_input(input.script_sig.as_bytes(), &input.witness.to_vec(), script_pubkey).expect("a valid input")
}

pub(crate) fn their_tweak(tx: &Transaction, prevouts: &[TxOut]) -> Option<PublicKey> {
    let keys: Vec<PublicKey> = tx
        .input
        .iter()
        .zip(prevouts)
        .filter_map(|(input, prevout)| their_public_key(input, prevout))
        .collect();
    if keys.is_empty() {
        return None;
    }
    calculate_tweak_data(&keys.iter().collect::<Vec<_>>(), &their_outpoints(tx)).ok()
}

pub(crate) fn their_outpoints(tx: &Transaction) -> Vec<OutPoint> {
    let bytes = |input: &bitcoin::TxIn| serialize(&input.previous_output).try_into().expect("36 bytes");
    tx.input
        .iter()
        .map(|input| OutPoint::from_bytes(bytes(input)))
        .collect()
}

/// The secret keys of the eligible inputs, in their form.
pub(crate) fn their_input_keys(inputs: &[TestInput]) -> Vec<(bitcoin::secp256k1::SecretKey, bool)> {
    use sdk_relay_bip352::send::InputKey;
    let key = |input: &TestInput| match input.spent().key {
        InputKey::Taproot(key) => Some((key, true)),
        InputKey::Ecdsa(key) => Some((key, false)),
        InputKey::Ineligible => None,
    };
    inputs.iter().filter_map(key).collect()
}
