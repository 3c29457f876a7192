use std::collections::HashSet;

use bitcoin::Txid;
use bitcoin::hashes::Hash as _;

use super::*;
use crate::address::Network;
use crate::keys::{Receiver, ScanKey};

fn secret(number: u8) -> SecretKey {
    SecretKey::from_slice(&[number; 32]).unwrap()
}

fn input(vout: u32, key: InputKey) -> Input {
    Input {
        outpoint: OutPoint::new(Txid::from_byte_array([4; 32]), vout),
        key,
    }
}

fn address(scan: u8, spend: u8) -> SilentPaymentAddress {
    let spend = secret(spend).public_key(&SECP);
    Receiver::new(ScanKey::from(secret(scan)), spend, [])
        .unwrap()
        .address(Network::Regtest)
}

#[test]
fn inputs_without_a_usable_sum_are_refused() {
    let to = [address(1, 2)];
    let (plus, minus) = (InputKey::Ecdsa(secret(3)), InputKey::Ecdsa(secret(3).negate()));
    assert_eq!(output_keys(&[], &to), Err(SendError::NoEligibleInput));
    assert_eq!(
        output_keys(&[input(0, InputKey::Ineligible)], &to),
        Err(SendError::NoEligibleInput)
    );
    let cancelling = [input(0, plus.clone()), input(1, minus.clone())];
    assert_eq!(output_keys(&cancelling, &to), Err(SendError::KeysCancelOut));

    // Zero in between, and the third key alone at the end: the same as the third alone with the same outpoints.
    let through_zero = [input(0, plus), input(1, minus), input(2, InputKey::Ecdsa(secret(5)))];
    let alone = [input(0, InputKey::Ineligible), input(2, InputKey::Ecdsa(secret(5)))];
    assert_eq!(
        output_keys(&through_zero, &to).unwrap(),
        output_keys(&alone, &to).unwrap()
    );
}

#[test]
fn taproot_keys_count_with_even_y() {
    let to = [address(1, 2)];
    for number in 1..20 {
        let keys = [secret(number), secret(number).negate()];
        let [one, other] = keys.map(|key| output_keys(&[input(0, InputKey::Taproot(key))], &to).unwrap());
        assert_eq!(one, other);
        let [one, other] = keys.map(|key| output_keys(&[input(0, InputKey::Ecdsa(key))], &to).unwrap());
        assert_ne!(one, other);
    }
}

#[test]
fn outputs_come_in_the_order_of_recipients_and_never_twice() {
    let inputs = [
        input(0, InputKey::Ecdsa(secret(3))),
        input(1, InputKey::Taproot(secret(4))),
    ];
    let (a, b) = (address(1, 2), address(7, 8));
    let keys = output_keys(&inputs, &[a, b, a, a, b]).unwrap();
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 5);
    // One receiver's outputs do not depend on another's.
    assert_eq!(output_keys(&inputs, &[a, a, a]).unwrap(), [keys[0], keys[2], keys[3]]);
    assert_eq!(output_keys(&inputs, &[b, b]).unwrap(), [keys[1], keys[4]]);
    let [first, second] = inputs;
    assert_eq!(output_keys(&[second, first], &[a, b, a, a, b]).unwrap(), keys);
    assert_eq!(output_keys(&[input(0, InputKey::Ecdsa(secret(3)))], &[]), Ok(vec![]));
}

#[test]
fn k_max_holds_for_each_scan_key() {
    let inputs = [input(0, InputKey::Ecdsa(secret(3)))];
    let k_max = K_MAX as usize;
    let (a, same_scan_key, other) = (address(1, 2), address(1, 9), address(7, 8));
    let full = [vec![a; k_max - 1], vec![same_scan_key]].concat();
    assert_eq!(
        output_keys(&inputs, &[&full[..], &[other]].concat()).unwrap().len(),
        k_max + 1
    );
    let error = SendError::TooManyForScanKey {
        scan: a.scan,
        count: k_max + 1,
    };
    assert_eq!(output_keys(&inputs, &[&full[..], &[a]].concat()), Err(error));
}
