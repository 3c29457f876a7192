use bitcoin::hex::DisplayHex as _;
use zeroize::ZeroizeOnDrop;

use super::*;
use crate::OutputTweak;

const SECRET: [u8; 32] = [0xab; 32];

fn spend() -> PublicKey {
    SecretKey::from_slice(&[2; 32]).unwrap().public_key(&SECP)
}

fn receiver(labels: impl IntoIterator<Item = u32>) -> Receiver {
    Receiver::new(ScanKey::from_bytes(&SECRET).unwrap(), spend(), labels).unwrap()
}

#[test]
fn no_debug_text_and_no_error_shows_a_secret() {
    let hex = SECRET.to_lower_hex_string();
    let key: ScanKey = hex.parse().unwrap();
    assert_eq!(format!("{key:?} {:#?}", key.clone()), "ScanKey(..) ScanKey(..)");
    assert_eq!(format!("{:?}", receiver([1, 2])), "Receiver { .. }");
    assert_eq!(format!("{:?}", OutputTweak::from_bytes(SECRET)), "OutputTweak(..)");
    assert_eq!(OutputTweak::from_bytes(SECRET).to_hex(), hex);
    for text in [&hex[1..], &[&hex[..], "0"].concat(), &hex.replace('b', "g"), "ä", ""] {
        assert_eq!(text.parse::<ScanKey>().unwrap_err(), ScanKeyError::NotHex);
    }
    for text in ["00".repeat(32), "ff".repeat(32)] {
        let error = text.parse::<ScanKey>().unwrap_err();
        assert_eq!(error, ScanKeyError::OutOfRange);
        assert!(!format!("{error} {error:?}").contains(&text));
    }
}

#[test]
fn output_tweaks_are_erased_when_dropped() {
    fn is_erased<T: ZeroizeOnDrop>(_: &T) {}
    is_erased(&OutputTweak::from_bytes(SECRET));
    // `ScanKey` zeroises in its `Drop`, which can be observed only before the memory is freed.
    assert!(std::mem::needs_drop::<ScanKey>() && std::mem::needs_drop::<Receiver>());
}

#[test]
fn change_is_always_scanned_and_never_given_out() {
    for labels in [vec![], vec![0], vec![7, 3, 7, 0]] {
        let receiver = receiver(labels);
        assert_eq!(receiver.labels().next(), Some(CHANGE_LABEL));
        assert_eq!(receiver.labelled_address(Network::Main, 0), Err(LabelError::Change));
        assert_ne!(
            receiver.change_address(Network::Main).unwrap(),
            receiver.address(Network::Main)
        );
    }
    let receiver = receiver([7, 3, 7]);
    assert!(receiver.labels().eq([0, 3, 7]));
    assert_eq!(
        receiver.labelled_address(Network::Main, 4),
        Err(LabelError::NotScanned(4))
    );
    let labelled = receiver.labelled_address(Network::Test, 7).unwrap();
    assert_eq!(
        (labelled.network, labelled.scan),
        (Network::Test, receiver.scan_public_key())
    );
    assert_ne!(labelled.spend, receiver.spend_public_key());
}

#[test]
fn a_spend_key_that_a_label_cancels_is_refused() {
    let scan = SecretKey::from_slice(&SECRET).unwrap();
    for m in [0, 5] {
        let spend = hash::label_tweak(&scan, m).unwrap().public_key(&SECP).negate(&SECP);
        assert_eq!(
            Receiver::new(ScanKey::from(scan), spend, [5]).unwrap_err(),
            LabelError::Unusable(m)
        );
    }
}
