use bitcoin::secp256k1::{Scalar, SecretKey};
use bitcoin::{OutPoint, Txid, hashes::Hash as _};

use super::*;
use crate::address::{Network, SilentPaymentAddress};
use crate::keys::ScanKey;
use crate::send::{Input, InputKey, output_keys};
use crate::spend::secret_key;

/// No point has this x coordinate.
const OFF_CURVE: [u8; 32] = {
    let mut x = [0; 32];
    x[31] = 5;
    x
};

fn secret(number: u8) -> SecretKey {
    SecretKey::from_slice(&[number; 32]).unwrap()
}

fn receiver(labels: impl IntoIterator<Item = u32>) -> Receiver {
    Receiver::new(ScanKey::from(secret(1)), secret(2).public_key(&SECP), labels).unwrap()
}

/// The output keys that one input pays to the recipients, and a transaction with outputs derived from them.
fn pay(
    recipients: &[SilentPaymentAddress],
    outputs: impl FnOnce(Vec<[u8; 32]>) -> Vec<[u8; 32]>,
) -> (Vec<[u8; 32]>, EligibleTx) {
    let outpoint = OutPoint::new(Txid::from_byte_array([4; 32]), 0);
    let made = output_keys(
        &[Input {
            outpoint,
            key: InputKey::Ecdsa(secret(3)),
        }],
        recipients,
    )
    .unwrap();
    let made: Vec<[u8; 32]> = made.iter().map(XOnlyPublicKey::serialize).collect();
    let sum = secret(3).public_key(&SECP);
    let input_hash: Scalar = crate::hash::input_hash([outpoint].into_iter(), &sum).unwrap();
    let output = |(vout, key)| TaprootOutput {
        vout,
        key,
        amount: Amount::from_sat(u64::from(vout)),
    };
    let tx = EligibleTx {
        txid: Txid::all_zeros(),
        tweak: sum.mul_tweak(&SECP, &input_hash).unwrap(),
        outputs: (10..).zip(outputs(made.clone())).map(output).collect(),
    };
    (made, tx)
}

fn found(matches: &[Match]) -> Vec<(u32, u32, Option<u32>)> {
    matches.iter().map(|found| (found.vout, found.k, found.label)).collect()
}

#[test]
fn both_ways_of_finding_a_label_agree_for_both_parities() {
    let receiver = receiver(0..40);
    let mut parities = [0, 0];
    for label in 1..40 {
        let address = receiver.labelled_address(Network::Regtest, label).unwrap();
        let (made, tx) = pay(&[address], |made| vec![OFF_CURVE, made[0], [3; 32]]);
        let t_0 = SharedSecret::new(&tx.tweak, receiver.scan_secret())
            .output_tweak(0)
            .unwrap();
        let p_0 = receiver.spend_public_key().add_exp_tweak(&SECP, &t_0.into()).unwrap();
        let mut search = Search::new(&receiver, &tx);
        for (key, by) in [
            search.labelled_by_addition(&receiver, &tx, &p_0).unwrap(),
            search.labelled_by_subtraction(&receiver, &tx, &p_0).unwrap(),
        ] {
            assert_eq!((key, by.number), (made[0], label));
        }
        let point = address.spend.add_exp_tweak(&SECP, &t_0.into()).unwrap();
        parities[usize::from(point.x_only_public_key().1.to_u8())] += 1;
        assert_eq!(found(&scan(&receiver, &tx)), [(11, 0, Some(label))]);
    }
    assert!(parities.iter().all(|count| *count > 5), "{parities:?}");
}

#[test]
fn the_count_continues_over_labels_and_order() {
    let receiver = receiver([5]);
    let plain = receiver.address(Network::Regtest);
    let change = receiver.change_address(Network::Regtest).unwrap();
    let labelled = receiver.labelled_address(Network::Regtest, 5).unwrap();
    let (made, tx) = pay(&[plain, labelled, change, plain], |mut made| {
        made.reverse();
        [made, vec![OFF_CURVE]].concat()
    });
    let matches = scan(&receiver, &tx);
    assert_eq!(
        found(&matches),
        [(13, 0, None), (12, 1, Some(5)), (11, 2, Some(0)), (10, 3, None)]
    );
    for (found, key) in matches.iter().zip(made) {
        let spends = secret_key(&secret(2), &found.tweak)
            .unwrap()
            .x_only_public_key(&SECP)
            .0
            .serialize();
        assert_eq!(
            (found.key, spends, found.amount.to_sat()),
            (key, key, u64::from(found.vout))
        );
    }
}

#[test]
fn a_hole_in_the_count_ends_it() {
    let receiver = receiver([]);
    let (_, tx) = pay(&[receiver.address(Network::Regtest); 3], |made| vec![made[0], made[2]]);
    assert_eq!(found(&scan(&receiver, &tx)), [(10, 0, None)]);
    let (_, tx) = pay(&[receiver.address(Network::Regtest); 3], |made| vec![made[1], made[2]]);
    assert_eq!(scan(&receiver, &tx), []);
}

#[test]
fn of_two_labels_with_one_k_the_first_output_counts() {
    // A sender who counts by address instead of by scan key makes such outputs; the BIP's order of search decides.
    for labels in [1..3, 1..100] {
        let receiver = receiver(labels);
        let key = |m| pay(&[receiver.labelled_address(Network::Regtest, m).unwrap()], |_| vec![]).0[0];
        let (_, tx) = pay(&[], |_| vec![key(1), key(2)]);
        assert_eq!(found(&scan(&receiver, &tx)), [(10, 0, Some(1))]);
        let (_, tx) = pay(&[], |_| vec![key(2), key(1)]);
        assert_eq!(found(&scan(&receiver, &tx)), [(10, 0, Some(2))]);
    }
}

#[test]
fn a_key_used_twice_is_found_twice_and_the_count_continues() {
    let receiver = receiver([]);
    let (_, tx) = pay(&[receiver.address(Network::Regtest); 2], |made| {
        vec![made[1], made[0], OFF_CURVE, made[0], [3; 32]]
    });
    let matches = scan(&receiver, &tx);
    assert_eq!(found(&matches), [(11, 0, None), (13, 0, None), (10, 1, None)]);
    assert_eq!(matches[0].tweak, matches[1].tweak);
}

#[test]
fn the_scan_ends_at_k_max() {
    let receiver = receiver([]);
    let (shared, mut tx) = pay(&[receiver.address(Network::Regtest); K_MAX as usize], |made| made);
    assert_eq!((scan(&receiver, &tx).len(), shared.len()), (2323, 2323));
    // The next output, which no BIP-compliant sender creates.
    let t_k = SharedSecret::new(&tx.tweak, receiver.scan_secret())
        .output_tweak(K_MAX)
        .unwrap();
    let key = x_only(&receiver.spend_public_key().add_exp_tweak(&SECP, &t_k.into()).unwrap());
    tx.outputs.push(TaprootOutput {
        vout: 9,
        key,
        amount: Amount::ZERO,
    });
    let matches = scan(&receiver, &tx);
    assert_eq!(matches.len(), shared.len());
    assert!(matches.iter().all(|found| found.key != key));
}

#[test]
fn a_transaction_without_payments_has_no_matches() {
    for labels in [0..1, 0..100] {
        let receiver = receiver(labels);
        let (_, tx) = pay(&[receiver.address(Network::Regtest)], |_| {
            vec![OFF_CURVE, [3; 32], [0; 32], [0xff; 32]]
        });
        assert_eq!(scan(&receiver, &tx), []);
        let (_, tx) = pay(&[receiver.address(Network::Regtest)], |_| vec![]);
        assert_eq!(scan(&receiver, &tx), []);
    }
}

#[test]
fn an_invalid_tweak_yields_no_key() {
    let order_or_more = OutputTweak::from_bytes([0xff; 32]);
    assert_eq!(secret_key(&secret(2), &order_or_more), None);
    assert_eq!(secret_key(&secret(2), &OutputTweak::from_bytes([0; 32])), None);
    let cancelling = OutputTweak::from_bytes(secret(2).negate().secret_bytes());
    assert_eq!(secret_key(&secret(2), &cancelling), None);
}

#[test]
fn a_scan_in_steps_finds_what_a_scan_at_once_finds() {
    // Enough outputs that steps add labels at first and subtract at the end; labels in a different order.
    let receiver = receiver(1..60);
    let addresses: Vec<_> = (0..150_u32)
        .map(|n| match n * 7 % 60 {
            0 => receiver.address(Network::Regtest),
            m => receiver.labelled_address(Network::Regtest, m).unwrap(),
        })
        .collect();
    let (_, tx) = pay(&addresses, |mut made| {
        made.reverse();
        made
    });
    let expected = scan(&receiver, &tx);
    assert_eq!(expected.len(), 150);
    for budget in [1, 5_000] {
        let mut search = Search::new(&receiver, &tx);
        let (mut all, mut calls, mut spent) = (Vec::new(), 0, search.spent());
        while !search.is_done() {
            all.extend(search.advance(&receiver, &tx, budget));
            assert!(search.spent() > spent || search.is_done(), "each call has a cost");
            spent = search.spent();
            calls += 1;
        }
        assert_eq!(all, expected);
        assert!(calls > 5, "{calls} calls with a budget of {budget}");
    }
}

#[test]
fn the_last_outputs_cost_no_addition_of_every_label() {
    // One output and a thousand labels: subtracting costs two additions instead of a thousand, at the last steps of a
    // large transaction too.
    let receiver = receiver(1..1_000);
    let address = receiver.labelled_address(Network::Regtest, 500).unwrap();
    let (_, tx) = pay(&vec![address; 30], |made| made);
    let mut search = Search::new(&receiver, &tx);
    assert_eq!(search.advance(&receiver, &tx, u64::MAX).len(), 30);
    let most = SECRET + 30 * STEP + 30 * LIFT + (1..=30).map(|left| left * SUBTRACT).sum::<u64>();
    assert!(search.spent() <= most, "{} units, at most {most}", search.spent());
    let adding = 30 * 1_000 * ADD;
    assert!(most * 10 < adding, "the bound would not notice additions");
}
