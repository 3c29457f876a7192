//! The official test vectors of BIP352 (`bip-0352/send_and_receive_test_vectors.json` of the BIPs' repository), every
//! field of them.
//!
//! The environment variable `BIP352_TEST_VECTORS` names the file. `.ci/run` sets it.

// The exemption for tests does not reach the functions that they call.
mod file;

use std::collections::BTreeSet;

use bitcoin::consensus::serialize;
use bitcoin::hashes::{Hash as _, sha256};
use bitcoin::secp256k1::{Keypair, Message, PublicKey, Scalar, Secp256k1, SecretKey, XOnlyPublicKey};
use bitcoin::{Amount, ScriptBuf, Transaction, TxOut};
use file::{Receiving, Recipient, Sending, Vector, Vin};
use sdk_relay_bip352::send::{Input, InputKey, SendError, output_keys};
use sdk_relay_bip352::spend::secret_key;
use sdk_relay_bip352::{
    EligibleTx, Engine, Fast, Hit, K_MAX, Libsecp256k1, Match, Network, Prepared, Receiver, ScanKey,
    SilentPaymentAddress, input_public_key, public_key_sum, scan, tweak,
};

const VARIABLE: &str = "BIP352_TEST_VECTORS";
/// Version 1.1.1 of the BIP has as many; a shorter file is not the official one.
const EXPECTED_VECTORS: usize = 28;

#[test]
fn official_vectors() {
    if std::env::var("WITHOUT").is_ok_and(|names| names.split_whitespace().any(|name| name == "vectors")) {
        eprintln!("NOT RUN: WITHOUT has vectors");
        return;
    }
    let path = std::env::var_os(VARIABLE).unwrap_or_else(|| {
        panic!("{VARIABLE} is not set: name send_and_receive_test_vectors.json, or leave it out with WITHOUT=vectors")
    });
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{VARIABLE} names {path:?}: {e}"));
    let vectors: Vec<Vector> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    assert!(
        vectors.len() >= EXPECTED_VECTORS,
        "{} vectors in {path:?}",
        vectors.len()
    );

    for vector in &vectors {
        // The message of a failed assertion does not name the vector: the captured output does.
        println!("vector: {}", vector.comment);
        assert!(!vector.sending.is_empty() && !vector.receiving.is_empty());
        vector.sending.iter().for_each(check_sending);
        vector.receiving.iter().for_each(check_receiving);
    }
    println!("{} vectors", vectors.len());
}

fn check_sending(case: &Sending) {
    let (given, expected) = (&case.given, &case.expected);
    let recipients: Vec<SilentPaymentAddress> = given.recipients.iter().flat_map(addresses).collect();
    let inputs: Vec<Input> = given.vin.iter().map(input).collect();
    let public_keys: Vec<PublicKey> = given.vin.iter().filter_map(public_key).collect();
    assert_eq!(public_keys, expected.input_pub_keys);

    let result = output_keys(&inputs, &recipients);
    let is_over_k_max = recipients.len() > K_MAX as usize;
    let Some(sum) = expected.input_private_key_sum else {
        assert_eq!(expected.outputs, [Vec::new()]);
        assert_eq!(expected.shared_secrets, vec![None; given.recipients.len()]);
        let error = if public_keys.is_empty() {
            SendError::NoEligibleInput
        } else {
            SendError::KeysCancelOut
        };
        return assert_eq!(result, Err(error));
    };
    let secp = Secp256k1::new();
    let (tx, prevouts) = transaction(&given.vin, &[[1; 32]]);
    assert_eq!(public_key_sum(&tx, &prevouts), Some(sum.public_key(&secp)));
    if is_over_k_max {
        assert_eq!(expected.outputs, [Vec::new()]);
        let scan = recipients[0].scan;
        return assert_eq!(
            result,
            Err(SendError::TooManyForScanKey {
                scan,
                count: recipients.len()
            })
        );
    }

    // The vectors list every valid set; which of them comes depends on the order within a group.
    let made: BTreeSet<XOnlyPublicKey> = result.expect("outputs").into_iter().collect();
    assert_eq!(made.len(), recipients.len());
    assert!(
        expected
            .outputs
            .iter()
            .any(|set| set.iter().copied().collect::<BTreeSet<_>>() == made),
        "{made:?}"
    );

    let input_hash = input_hash(&inputs, &sum.public_key(&secp));
    assert_eq!(
        tweak(&tx, &prevouts),
        sum.public_key(&secp).mul_tweak(&secp, &input_hash).ok()
    );
    for (recipient, secret) in given.recipients.iter().zip(&expected.shared_secrets) {
        let scalar = sum.mul_tweak(&input_hash).expect("a scalar");
        assert_eq!(recipient.scan_pub_key.mul_tweak(&secp, &scalar.into()).ok(), *secret);
    }
}

/// Every engine, alone and with enough company that each of its ways is taken.
fn check_engines(receiver: &Receiver, tx: &EligibleTx, hits: &[Hit]) {
    let strangers: Vec<Prepared> = (1..64)
        .map(|n| {
            let key = SecretKey::from_slice(&[n; 32]).expect("a scalar");
            let stranger = Receiver::new(ScanKey::from(key), receiver.spend_public_key(), []).expect("labels");
            Fast::new().prepare(stranger)
        })
        .collect();
    let receiver = &Fast::new().prepare(receiver.clone());
    let fast = Fast::all();
    let engines = fast.iter().map(|engine| engine as &dyn Engine);
    for engine in engines.chain([&Libsecp256k1 as &dyn Engine]) {
        assert_eq!(engine.scan(&[receiver], &[tx]).expect("an answer"), hits);
        // The wallet last, and each row in another lane. Thousands of outputs take seconds, and are nothing new to an
        // engine.
        let companies: &[usize] = if tx.outputs.len() < 100 { &[0, 1, 7, 63] } else { &[] };
        for &company in companies {
            let receivers: Vec<&Prepared> = strangers.iter().take(company).chain([receiver]).collect();
            let found = engine.scan(&receivers, &[tx; 9]).expect("an answer");
            let expected = (0..9).flat_map(|row| hits.iter().map(move |hit| (row, hit)));
            let expected: Vec<Hit> = expected
                .map(|(row, hit)| Hit {
                    receiver: company,
                    row,
                    ..hit.clone()
                })
                .collect();
            assert_eq!(found, expected);
        }
    }
}

fn check_receiving(case: &Receiving) {
    let (given, expected) = (&case.given, &case.expected);
    let secp = Secp256k1::new();
    let keys = &given.key_material;
    let scan_key = ScanKey::from(keys.scan_priv_key);
    let receiver = Receiver::new(
        scan_key,
        keys.spend_priv_key.public_key(&secp),
        given.labels.iter().copied(),
    )
    .expect("usable labels");
    check_addresses(&receiver, &given.labels, &expected.addresses);

    let (tx, prevouts) = transaction(&given.vin, &given.outputs);
    assert_eq!(tweak(&tx, &prevouts), expected.tweak);
    assert_eq!(public_key_sum(&tx, &prevouts), expected.input_pub_key_sum);
    let Some(eligible) = EligibleTx::from_tx(&tx, &prevouts) else {
        assert_eq!((expected.tweak, expected.shared_secret), (None, None));
        return assert!(expected.outputs.as_ref().is_some_and(Vec::is_empty));
    };
    let secret = eligible
        .tweak
        .mul_tweak(&secp, &Scalar::from(keys.scan_priv_key))
        .expect("a point");
    assert_eq!(Some(secret), expected.shared_secret);

    let matches = scan(&receiver, &eligible);
    let hit = Hit {
        receiver: 0,
        row: 0,
        matches: matches.clone(),
    };
    let hits = if matches.is_empty() { vec![] } else { vec![hit] };
    check_engines(&receiver, &eligible, &hits);
    for found in &matches {
        check_spendable(found, &eligible, &keys.spend_priv_key);
    }
    if let Some(count) = expected.n_outputs {
        assert_eq!(matches.len(), count);
    }
    let Some(outputs) = &expected.outputs else {
        return assert!(expected.n_outputs.is_some());
    };
    let expected_keys: BTreeSet<[u8; 32]> = outputs.iter().map(|output| output.pub_key.serialize()).collect();
    assert_eq!(
        matches.iter().map(|found| found.key).collect::<BTreeSet<_>>(),
        expected_keys
    );
    for output in outputs {
        let found = matches
            .iter()
            .find(|found| found.key == output.pub_key.serialize())
            .expect("found");
        assert_eq!(found.tweak.to_hex(), output.priv_key_tweak);
        let pair = Keypair::from_secret_key(&secp, &secret_key(&keys.spend_priv_key, &found.tweak).expect("a key"));
        let message = Message::from_digest(sha256::Hash::hash(b"message").to_byte_array());
        let auxiliary = sha256::Hash::hash(b"random auxiliary data").to_byte_array();
        let signature = secp.sign_schnorr_with_aux_rand(&message, &pair, &auxiliary);
        assert_eq!(signature, output.signature);
        secp.verify_schnorr(&signature, &message, &output.pub_key)
            .expect("a valid signature");
    }
}

/// The unlabelled address and one for each label, in any order; change, if requested, by its own function.
fn check_addresses(receiver: &Receiver, labels: &[u32], expected: &[String]) {
    let labelled = labels.iter().map(|label| match label {
        0 => receiver.change_address(Network::Main).expect("a change address"),
        m => receiver
            .labelled_address(Network::Main, *m)
            .expect("a labelled address"),
    });
    let made: BTreeSet<String> = labelled
        .chain([receiver.address(Network::Main)])
        .map(|address| address.to_string())
        .collect();
    assert_eq!(made, expected.iter().cloned().collect());
}

fn check_spendable(found: &Match, tx: &EligibleTx, spend: &SecretKey) {
    let secp = Secp256k1::new();
    let pair = Keypair::from_secret_key(&secp, &secret_key(spend, &found.tweak).expect("a key"));
    assert_eq!(pair.x_only_public_key().0.serialize(), found.key);
    assert_eq!(tx.outputs[found.vout as usize].key, found.key);
}

/// BIP352 in so many words, without the crate's own hash.
fn input_hash(inputs: &[Input], sum: &PublicKey) -> Scalar {
    let tag = sha256::Hash::hash(b"BIP0352/Inputs");
    let smallest = inputs
        .iter()
        .map(|input| serialize(&input.outpoint))
        .min()
        .expect("an input");
    let message = [&tag[..], &tag[..], &smallest[..], &sum.serialize()[..]].concat();
    Scalar::from_be_bytes(sha256::Hash::hash(&message).to_byte_array()).expect("a scalar")
}

fn addresses(recipient: &Recipient) -> Vec<SilentPaymentAddress> {
    let address: SilentPaymentAddress = recipient.address.parse().expect("an address");
    let Recipient {
        scan_pub_key: scan,
        spend_pub_key: spend,
        ..
    } = *recipient;
    assert_eq!(
        address,
        SilentPaymentAddress {
            network: Network::Main,
            scan,
            spend
        }
    );
    assert_eq!(address.to_string(), recipient.address);
    vec![address; recipient.count.unwrap_or(1)]
}

fn input(vin: &Vin) -> Input {
    let key = vin.private_key.expect("a private key");
    let key = match public_key(vin) {
        None => InputKey::Ineligible,
        Some(_) if vin.prevout().script_pubkey.is_p2tr() => InputKey::Taproot(key),
        Some(_) => InputKey::Ecdsa(key),
    };
    Input {
        outpoint: vin.tx_in().previous_output,
        key,
    }
}

fn public_key(vin: &Vin) -> Option<PublicKey> {
    let input = vin.tx_in();
    input_public_key(&vin.prevout().script_pubkey, &input.script_sig, &input.witness)
}

fn transaction(vin: &[Vin], outputs: &[impl AsRef<[u8]>]) -> (Transaction, Vec<TxOut>) {
    let output = |key: &[u8]| TxOut {
        value: Amount::from_sat(1000),
        script_pubkey: ScriptBuf::from_bytes([&[0x51, 0x20], key].concat()),
    };
    let tx = Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: vin.iter().map(Vin::tx_in).collect(),
        output: outputs.iter().map(|key| output(key.as_ref())).collect(),
    };
    (tx, vin.iter().map(Vin::prevout).collect())
}
