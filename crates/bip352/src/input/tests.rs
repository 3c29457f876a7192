use bitcoin::hex::FromHex as _;
use bitcoin::secp256k1::{Parity, Scalar, SecretKey, XOnlyPublicKey};
use bitcoin::{CompressedPublicKey, OutPoint, ScriptBuf, Sequence, TxIn};

use super::*;

/// No point has this x coordinate.
const OFF_CURVE: [u8; 32] = {
    let mut x = [0; 32];
    x[31] = 5;
    x
};

fn key(number: u8) -> PublicKey {
    SecretKey::from_slice(&[number; 32]).unwrap().public_key(&SECP)
}

fn p2tr(x: [u8; 32]) -> ScriptBuf {
    ScriptBuf::from_bytes([&[0x51, 0x20], &x[..]].concat())
}

fn p2tr_of(key: PublicKey) -> ScriptBuf {
    p2tr(key.x_only_public_key().0.serialize())
}

fn even(key: PublicKey) -> PublicKey {
    key.x_only_public_key().0.public_key(Parity::Even)
}

fn p2wpkh(key: PublicKey) -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&CompressedPublicKey(key).wpubkey_hash())
}

fn p2pkh(key: &[u8]) -> ScriptBuf {
    ScriptBuf::new_p2pkh(&bitcoin::PubkeyHash::hash(key))
}

fn witness(items: &[&[u8]]) -> Witness {
    Witness::from_slice(items)
}

fn control_block(internal_key: &[u8]) -> Vec<u8> {
    [&[0xc1], internal_key, &[8; 64]].concat()
}

/// A transaction with these inputs (prevout's script, witness) and one taproot output.
fn transaction(inputs: &[(ScriptBuf, Witness)]) -> (Transaction, Vec<TxOut>) {
    let output = |script_pubkey| TxOut {
        value: Amount::from_sat(1000),
        script_pubkey,
    };
    let input = |(vout, (_, witness)): (u32, &(ScriptBuf, Witness))| TxIn {
        previous_output: OutPoint::new(Txid::from_byte_array([7; 32]), vout),
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: witness.clone(),
    };
    let tx = Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: (0..).zip(inputs).map(input).collect(),
        output: vec![output(p2tr_of(key(99)))],
    };
    (tx, inputs.iter().map(|(script, _)| output(script.clone())).collect())
}

fn spends_p2wpkh(key: PublicKey) -> (ScriptBuf, Witness) {
    (p2wpkh(key), witness(&[&[0x30; 71], &key.serialize()]))
}

fn tweak_of(inputs: &[(ScriptBuf, Witness)]) -> Option<PublicKey> {
    let (tx, prevouts) = transaction(inputs);
    tweak(&tx, &prevouts)
}

#[test]
fn nums_is_point_h() {
    let h = "50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0";
    assert_eq!(NUMS_H, <[u8; 32]>::from_hex(h).unwrap());
}

#[test]
fn a_script_path_with_internal_key_h_adds_nothing_whatever_its_annex() {
    let script = p2tr_of(key(1));
    let nums = control_block(&NUMS_H);
    assert_eq!(
        input_public_key(&script, Script::new(), &witness(&[b"x", b"script", &nums])),
        None
    );
    for length in [1, 2, 32, 33, 34, 10_000] {
        let annex = vec![ANNEX_PREFIX; length];
        assert_eq!(
            input_public_key(&script, Script::new(), &witness(&[b"script", &nums, &annex])),
            None
        );
    }
}

#[test]
fn other_taproot_spends_add_the_output_key_with_even_y() {
    for number in 1..20 {
        let script = p2tr_of(key(number));
        let annex = [&[ANNEX_PREFIX], &NUMS_H[..]].concat();
        let spends: [&[&[u8]]; 8] = [
            &[&[0; 64]],
            &[&[0; 64], &annex],
            // One element alone is never an annex.
            &[&annex],
            &[b"script", &control_block(&[3; 32])],
            &[b"script", &control_block(&[3; 32]), &annex],
            // H outside the internal key, and a control block that is too short.
            &[&control_block(&NUMS_H), &control_block(&[3; 32])],
            &[b"script", &[0xc0; 10]],
            &[b"script", &[]],
        ];
        for spend in spends {
            assert_eq!(
                input_public_key(&script, Script::new(), &witness(spend)),
                Some(even(key(number)))
            );
        }
        assert_eq!(input_public_key(&script, Script::new(), &Witness::new()), None);
    }
}

#[test]
fn keys_that_are_not_compressed_add_nothing() {
    let uncompressed = key(1).serialize_uncompressed();
    let mut hybrid = uncompressed;
    hybrid[0] = 6 | (hybrid[64] & 1);
    for bytes in [&uncompressed[..], &hybrid[..], &[], &key(1).serialize()[..32], &[5; 33]] {
        assert_eq!(
            input_public_key(&p2wpkh(key(1)), Script::new(), &witness(&[&[0x30; 71], bytes])),
            None
        );
        let script_sig = ScriptBuf::from_bytes([&[71; 72][..], &[bytes.len() as u8], bytes].concat());
        assert_eq!(input_public_key(&p2pkh(bytes), &script_sig, &Witness::new()), None);
    }
    assert_eq!(input_public_key(&p2wpkh(key(1)), Script::new(), &Witness::new()), None);
}

#[test]
fn p2pkh_keys_are_found_by_their_hash_wherever_they_are() {
    let (own, other) = (key(1).serialize(), key(2).serialize());
    let script = p2pkh(&own);
    let places: [Vec<u8>; 5] = [
        [&[33], &own[..]].concat(),
        [&[71; 72][..], &[33], &own[..]].concat(),
        [&own[..], &[0x75; 50]].concat(),
        [&[2; 40], &own[..], &[3; 40]].concat(),
        [&own[..], &other].concat(),
    ];
    for script_sig in places {
        assert_eq!(
            input_public_key(&script, &ScriptBuf::from_bytes(script_sig), &Witness::new()),
            Some(key(1))
        );
    }
    for script_sig in [vec![], own[..32].to_vec(), other.to_vec(), vec![2; 500]] {
        assert_eq!(
            input_public_key(&script, &ScriptBuf::from_bytes(script_sig), &Witness::new()),
            None
        );
    }
}

#[test]
fn p2sh_counts_only_around_p2wpkh() {
    let program = p2wpkh(key(1));
    let script = ScriptBuf::new_p2sh(&program.script_hash());
    let witness = witness(&[&[0x30; 71], &key(1).serialize()]);
    let spend = |script_sig: Vec<u8>| input_public_key(&script, &ScriptBuf::from_bytes(script_sig), &witness);
    assert_eq!(spend([&[22], program.as_bytes()].concat()), Some(key(1)));
    assert_eq!(spend([&[0x4c, 22], program.as_bytes()].concat()), None);
    assert_eq!(spend([&[0, 22], program.as_bytes()].concat()), None);
    assert_eq!(spend(program.to_bytes()), None);
    assert_eq!(spend([&[34, 0, 32], &[1; 32][..]].concat()), None);
    assert_eq!(spend(vec![]), None);
}

#[test]
fn witness_version_2_or_later_stops_the_whole_transaction() {
    let eligible = spends_p2wpkh(key(1));
    for version in 0x52..=0x60 {
        for length in [2, 32, 40] {
            let script = ScriptBuf::from_bytes([vec![version, length], vec![1; length.into()]].concat());
            assert_eq!(tweak_of(&[eligible.clone(), (script, Witness::new())]), None);
        }
        // Too short and too long for a witness program: an ordinary script.
        for length in [1, 41] {
            let script = ScriptBuf::from_bytes([vec![version, length], vec![1; length.into()]].concat());
            assert!(tweak_of(&[eligible.clone(), (script, Witness::new())]).is_some());
        }
    }
    let anchor = ScriptBuf::from_bytes(vec![0x51, 2, 0x4e, 0x73]);
    assert!(tweak_of(&[eligible, (anchor, Witness::new())]).is_some());
}

#[test]
fn a_sum_at_infinity_has_no_tweak_and_one_in_between_does_no_harm() {
    let (plus, minus) = (spends_p2wpkh(key(1)), spends_p2wpkh(key(1).negate(&SECP)));
    assert_eq!(tweak_of(&[plus.clone(), minus.clone()]), None);
    let (tx, prevouts) = transaction(&[plus, minus, spends_p2wpkh(key(2))]);
    assert_eq!(public_key_sum(&tx, &prevouts), Some(key(2)));
    assert!(tweak(&tx, &prevouts).is_some());
}

#[test]
fn the_tweak_is_bound_to_the_smallest_outpoint_of_all_inputs() {
    let ineligible = (ScriptBuf::new(), Witness::new());
    let (tx, prevouts) = transaction(&[ineligible, spends_p2wpkh(key(1))]);
    let hash = |vout| {
        let outpoint = OutPoint::new(Txid::from_byte_array([7; 32]), vout);
        hash::input_hash([outpoint].into_iter(), &key(1)).unwrap()
    };
    assert_ne!(hash(0), hash(1));
    assert_eq!(tweak(&tx, &prevouts), key(1).mul_tweak(&SECP, &hash(0)).ok());

    // 256 is smaller than 1 in the order of serialised bytes.
    let order = [1, 256, 2].map(|vout| OutPoint::new(Txid::from_byte_array([7; 32]), vout));
    assert_eq!(hash::input_hash(order.into_iter(), &key(1)), Some(hash(256)));
    assert_eq!(hash::input_hash(std::iter::empty(), &key(1)), None::<Scalar>);
}

#[test]
fn keys_off_the_curve_are_skipped() {
    assert!(XOnlyPublicKey::from_slice(&OFF_CURVE).is_err());
    let off_curve = (p2tr(OFF_CURVE), witness(&[&[0; 64]]));
    assert_eq!(tweak_of(std::slice::from_ref(&off_curve)), None);

    let (mut tx, prevouts) = transaction(&[off_curve, spends_p2wpkh(key(1))]);
    assert_eq!(public_key_sum(&tx, &prevouts), Some(key(1)));
    tx.output[0].script_pubkey = p2tr(OFF_CURVE);
    let eligible = EligibleTx::from_tx(&tx, &prevouts).unwrap();
    assert_eq!(
        eligible.outputs,
        [TaprootOutput {
            vout: 0,
            key: OFF_CURVE,
            amount: Amount::from_sat(1000)
        }]
    );
}

#[test]
fn a_coinbase_and_a_transaction_without_inputs_are_skipped() {
    let (mut tx, prevouts) = transaction(&[spends_p2wpkh(key(1))]);
    assert!(tweak(&tx, &prevouts).is_some());
    tx.input[0].previous_output = OutPoint::null();
    assert_eq!(tweak(&tx, &prevouts), None);
    assert_eq!(tweak(&tx, &[]), None);
    tx.input.clear();
    assert_eq!(EligibleTx::from_tx(&tx, &[]), None);
}
