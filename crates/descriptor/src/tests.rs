use bech32::primitives::iter::{ByteIterExt as _, Fe32IterExt as _};
use bech32::{Bech32m, Fe32, Hrp};
use bitcoin::bip32::{DerivationPath, Xpriv, Xpub};
use bitcoin::hex::DisplayHex as _;
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use bitcoin::{NetworkKind, PrivateKey};
use proptest::prelude::*;

use super::*;

const ORIGIN: &str = "[d34db33f/352h/0'/0h]";

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_slice(&[seed; 32]).unwrap()
}

fn public(seed: u8) -> PublicKey {
    secret(seed).public_key(&Secp256k1::new())
}

fn encoded(prefix: &str, version: u8, payload: &[u8]) -> String {
    let hrp = Hrp::parse(prefix).unwrap();
    let characters = payload.iter().copied().bytes_to_fes();
    let version = Fe32::try_from(version).unwrap();
    let characters = characters
        .with_checksum::<Bech32m>(&hrp)
        .with_witness_version(version)
        .chars();
    characters.collect()
}

fn spscan(prefix: &str, seed: u8) -> String {
    let payload = [&secret(seed).secret_bytes()[..], &public(seed + 1).serialize()].concat();
    encoded(prefix, 0, &payload)
}

fn checksum(body: &str) -> String {
    let mut engine = Engine::new();
    engine.input(body).unwrap();
    engine.checksum()
}

fn error(text: &str) -> DescriptorError {
    ScanDescriptor::from_str(text).unwrap_err()
}

fn has_keys(found: &ScanDescriptor, scan: &SecretKey, spend: PublicKey) {
    assert_eq!(found.scan.public_key(), scan.public_key(&Secp256k1::new()));
    assert_eq!(found.spend, spend);
}

#[test]
fn a_described_wallet_is_parsed_again() {
    for (prefix, is_mainnet) in [("spscan", true), ("tspscan", false)] {
        let text = describe(&ScanKey::from(secret(3)), &public(4), is_mainnet).unwrap();
        let body = format!("sp({})", spscan(prefix, 3));
        assert_eq!(*text, format!("{body}#{}", checksum(&body)));
        let found = ScanDescriptor::from_str(&text).unwrap();
        has_keys(&found, &secret(3), public(4));
        assert_eq!(found.is_mainnet, is_mainnet);
    }
}

#[test]
fn the_encoded_key_in_all_its_surroundings() {
    for (prefix, is_mainnet) in [("spscan", true), ("tspscan", false)] {
        let key = spscan(prefix, 3);
        for body in [
            format!("sp({key})"),
            format!("sp({ORIGIN}{key})"),
            format!("sp([d34db33f]{key})"),
        ] {
            let checked = format!("{body}#{}", checksum(&body));
            for text in [body.clone(), checked, format!("  {body}\n")] {
                let found: ScanDescriptor = text.parse().unwrap();
                has_keys(&found, &secret(3), public(4));
                assert_eq!(
                    (found.is_mainnet, found.birthday, found.highest_label),
                    (is_mainnet, None, None)
                );
            }
        }
    }
    // Bech32m allows capitals throughout.
    let capitals = format!("sp({})", spscan("spscan", 3).to_uppercase());
    has_keys(&capitals.parse().unwrap(), &secret(3), public(4));
}

#[test]
fn annotations_belong_to_the_checksum_and_unknown_ones_are_ignored() {
    let body = format!("sp({})?bh=842579&gl=20&ml=10&later=1", spscan("spscan", 3));
    let found: ScanDescriptor = format!("{body}#{}", checksum(&body)).parse().unwrap();
    assert_eq!((found.birthday, found.highest_label), (Some(842_579), Some(10)));
    let of_body = checksum(body.split_once('?').unwrap().0);
    assert_eq!(error(&format!("{body}#{of_body}")), DescriptorError::Checksum);
    for (annotations, expected) in [
        ("Bh=1", DescriptorError::Annotation),
        ("bh=", DescriptorError::Annotation),
        ("bh", DescriptorError::Annotation),
        ("bh=-1", DescriptorError::Annotation),
        ("bh=abc", DescriptorError::Annotation),
        ("bh=01", DescriptorError::Annotation),
        ("=100", DescriptorError::Annotation),
        ("bh=1&", DescriptorError::Annotation),
        ("", DescriptorError::Annotation),
        ("bh=1?gl=2", DescriptorError::Annotation),
        ("bh=1&bh=2", DescriptorError::Twice("bh".to_owned())),
        ("x=1&x=1", DescriptorError::Twice("x".to_owned())),
        ("ml=4294967296", DescriptorError::TooLarge("ml".to_owned())),
    ] {
        assert_eq!(
            error(&format!("sp({})?{annotations}", spscan("spscan", 3))),
            expected,
            "{annotations}"
        );
    }
    // Whatever its size.
    let unknown = format!("sp({})?later={}", spscan("spscan", 3), "9".repeat(100));
    assert!(ScanDescriptor::from_str(&unknown).is_ok());
}

#[test]
fn two_keys() {
    let secp = Secp256k1::new();
    let wif = PrivateKey::new(secret(5), NetworkKind::Main).to_wif();
    let found: ScanDescriptor = format!("sp({wif},{})", public(6)).parse().unwrap();
    has_keys(&found, &secret(5), public(6));
    assert!(found.is_mainnet);

    let master = Xpriv::new_master(NetworkKind::Test, &[7; 16]).unwrap();
    let path = DerivationPath::from_str("352h/1h/0h/1h/0").unwrap();
    let scan = master.derive_priv(&secp, &path).unwrap().private_key;
    let account = Xpub::from_priv(&secp, &Xpriv::new_master(NetworkKind::Test, &[8; 16]).unwrap());
    let spend = account
        .derive_pub(&secp, &DerivationPath::from_str("0/5").unwrap())
        .unwrap()
        .public_key;
    for (first, second) in [
        (format!("{master}/352h/1'/0h/1h/0"), format!("{account}/0/5")),
        (
            format!("{ORIGIN}{master}/352h/1'/0h/1h/0"),
            format!("{ORIGIN}{account}/0/5"),
        ),
    ] {
        let found: ScanDescriptor = format!("sp({first},{second})").parse().unwrap();
        has_keys(&found, &scan, spend);
        assert!(!found.is_mainnet);
    }
}

#[test]
fn who_can_spend_is_refused() {
    let both = [secret(3).secret_bytes(), secret(4).secret_bytes()].concat();
    let wif = PrivateKey::new(secret(5), NetworkKind::Main).to_wif();
    let extended = Xpriv::new_master(NetworkKind::Main, &[7; 16]).unwrap();
    for keys in [
        encoded("spspend", 0, &both),
        format!("{ORIGIN}{}", encoded("tspspend", 0, &both)),
        format!("{wif},{wif}"),
        format!("{wif},{extended}"),
        format!("{wif},{ORIGIN}{extended}/0h"),
        format!("{wif},{}", encoded("spspend", 0, &both)),
    ] {
        assert_eq!(error(&format!("sp({keys})")), DescriptorError::Spends, "{keys}");
    }
}

#[test]
fn each_fault_is_named() {
    let key = spscan("spscan", 3);
    let wif = PrivateKey::new(secret(5), NetworkKind::Main).to_wif();
    let uncompressed = PrivateKey::new_uncompressed(secret(5), NetworkKind::Main).to_wif();
    let xpub = Xpub::from_priv(
        &Secp256k1::new(),
        &Xpriv::new_master(NetworkKind::Test, &[8; 16]).unwrap(),
    );
    let (spend, long) = (public(6), public(6).serialize_uncompressed().to_lower_hex_string());
    let swapped: String = {
        let mut characters: Vec<char> = key.chars().collect();
        characters.swap(20, 21);
        characters.into_iter().collect()
    };
    assert_ne!(swapped, key, "another seed");
    let zero = [&[0; 32][..], &public(4).serialize()].concat();
    let no_point = [&secret(3).secret_bytes()[..], &[5; 33]].concat();
    let payload = [&secret(3).secret_bytes()[..], &public(4).serialize()].concat();
    for (text, expected) in [
        (String::new(), DescriptorError::NotSilent),
        ("sp()".to_owned(), DescriptorError::NotEncoded),
        (format!("sp({key}"), DescriptorError::NotSilent),
        (format!("sh(sp({key}))"), DescriptorError::NotSilent),
        (key.clone(), DescriptorError::NotSilent),
        (format!("sp({xpub})"), DescriptorError::NotEncoded),
        (format!("sp({key})#"), DescriptorError::Checksum),
        (format!("sp({key})#qqqqqqqq"), DescriptorError::Checksum),
        (format!("sp({key})é"), DescriptorError::Character),
        (
            format!("sp({key}){}", " ".repeat(MAX_LENGTH) + "x"),
            DescriptorError::TooLong,
        ),
        (format!("sp([d34db33/352h]{key})"), DescriptorError::Origin),
        (format!("sp([d34db33f/x]{key})"), DescriptorError::Origin),
        (format!("sp([d34db33f{key})"), DescriptorError::Origin),
        (format!("sp({swapped})"), DescriptorError::Encoded),
        (
            format!("sp({})", encoded("spscan", 0, &payload[..64])),
            DescriptorError::Encoded,
        ),
        (
            format!("sp({})", encoded("spscan", 0, &[&payload[..], &[0]].concat())),
            DescriptorError::Encoded,
        ),
        (format!("sp({})", encoded("spscan", 0, &[])), DescriptorError::Encoded),
        (
            format!("sp({})", encoded("spscan", 1, &payload)),
            DescriptorError::Version(1),
        ),
        (format!("sp({})", encoded("spscan", 0, &zero)), DescriptorError::ScanKey),
        (
            format!("sp({})", encoded("spscan", 0, &no_point)),
            DescriptorError::SpendKey,
        ),
        (format!("sp({key},{key})"), DescriptorError::TwoKeysScan),
        (format!("sp({xpub},{spend})"), DescriptorError::TwoKeysScan),
        (format!("sp({uncompressed},{spend})"), DescriptorError::TwoKeysScan),
        (format!("sp({wif}/0,{spend})"), DescriptorError::TwoKeysScan),
        (format!("sp({wif}/,{spend})"), DescriptorError::TwoKeysScan),
        (format!("sp({wif},{long})"), DescriptorError::TwoKeysSpend),
        (
            format!("sp({wif},{})", &spend.to_string()[2..]),
            DescriptorError::TwoKeysSpend,
        ),
        (format!("sp({wif},{xpub}/*)"), DescriptorError::TwoKeysSpend),
        (format!("sp({wif},{xpub}/<0;1>)"), DescriptorError::TwoKeysSpend),
        (format!("sp({wif},{spend},{spend})"), DescriptorError::TwoKeysSpend),
        (format!("sp({wif},musig({spend},{spend}))"), DescriptorError::Musig),
        (format!("sp({wif},{xpub}/0)"), DescriptorError::Networks),
    ] {
        assert_eq!(error(&text), expected, "{text}");
    }
}

proptest! {
    /// No text makes it panic, and no error has a part of a key.
    #[test]
    fn any_text(text in "(sp\\()?[ -~]{0,80}\\)?(\\?[a-z=&0-9]{0,20})?(#[a-z0-9]{0,9})?") {
        drop(ScanDescriptor::from_str(&text));
    }

    /// A changed character is found.
    #[test]
    fn a_changed_character_is_found(at in 0_usize..115, with in "[a-z0-9]") {
        let body = format!("sp({})?bh=5", spscan("spscan", 9));
        let text = format!("{body}#{}", checksum(&body));
        let mut changed = text.clone();
        changed.replace_range(at..=at, &with);
        if changed != text {
            prop_assert!(ScanDescriptor::from_str(&changed).is_err());
        }
    }
}
