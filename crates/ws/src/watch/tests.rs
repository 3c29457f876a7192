use std::sync::Arc;

use sdk_relay_bip352::Fast;

use super::*;

const SECRET: &str = "0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c";
const SPEND: &str = "025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36";
/// The WIF of the scan key above, for a test network and for the main network.
const TEST_WIF: &str = "cN6fC62XuB4gv3tu4tFnwtd72jTfT7Mezzhn7b8GSZKHTHZiBegX";
const MAIN_WIF: &str = "KwjfjB2gU7NRkcRdgUSfaa83QWAFnfFxvxZK1AfkwSfHCYZnmrM2";

fn scanner() -> Scanner {
    Scanner::new(Arc::new(Fast::new()), |_, _| {})
}

fn watch(scan: &str, spend: &str, labels: &[u32]) -> Watch {
    Watch {
        labels: Some(labels.to_vec()),
        message_id: Some("m".to_owned()),
        ..Watch::of_keys(SecretHex::new(scan.to_owned()), spend.to_owned())
    }
}

fn described(text: String) -> Watch {
    Watch {
        descriptor: Some(SecretDescriptor::new(text)),
        message_id: Some("m".to_owned()),
        ..Watch::default()
    }
}

fn limits(has_index: bool) -> Limits {
    Limits { labels: 10, has_index }
}

fn read(watch: &Watch, has_index: bool) -> Result<Keys, Refusal> {
    keys(watch, Network::Test, limits(has_index), &scanner())
}

fn from(height: u32) -> Option<RequestedHistory> {
    let from = From::Height(height);
    Some(RequestedHistory { from, to: None })
}

#[test]
fn keys_make_addresses() {
    let keys = keys(
        &watch(SECRET, SPEND, &[0, 1, 2]),
        Network::Main,
        limits(false),
        &scanner(),
    )
    .unwrap();
    assert_eq!(keys.addresses.len(), 3);
    assert!(keys.addresses[&None].starts_with("sp1q"));
    assert_ne!(keys.addresses[&Some(1)], keys.addresses[&Some(2)]);
}

#[test]
fn a_descriptor_is_the_same_wallet_as_its_keys() {
    let of_keys = read(&watch(SECRET, SPEND, &[1, 2, 3]), true).unwrap();
    let described = described(format!("sp({TEST_WIF},{SPEND})?bh=120&ml=3"));
    let of_descriptor = read(&described, true).unwrap();
    assert_eq!(of_descriptor.addresses, of_keys.addresses);
    assert_eq!((of_keys.history, of_descriptor.history), (None, from(120)));
    // A relay without an index watches from now on, and says so in the response.
    assert_eq!(read(&described, false).unwrap().history, None);
    // What the message says has precedence.
    let own = Watch {
        labels: Some(vec![7]),
        from_height: Some(500),
        ..described
    };
    let keys = read(&own, true).unwrap();
    assert_eq!(keys.history, from(500));
    assert!(keys.addresses.contains_key(&Some(7)) && keys.addresses.len() == 2);
}

#[test]
fn a_watch_that_would_take_much_memory_is_refused_before_it_waits() {
    let long = "0".repeat(1001);
    for (watch, field) in [
        (watch(&long, SPEND, &[]), "scan_private_key"),
        (watch(SECRET, &long, &[]), "spend_public_key"),
        (watch(SECRET, SPEND, &[1; 101]), "labels"),
        (described(long.clone()), "descriptor"),
    ] {
        let refusal = check_sizes(&watch, 100).unwrap_err();
        assert!(refusal.message.starts_with(field), "{}", refusal.message);
        assert_eq!(
            (refusal.code, refusal.in_reply_to.as_deref()),
            (ErrorCode::InvalidField, Some("m"))
        );
    }
    assert_eq!(check_sizes(&watch(SECRET, SPEND, &[1; 100]), 100), Ok(()));
}

#[test]
fn each_invalid_field_is_reported_without_secrets() {
    let good = || watch(SECRET, SPEND, &[]);
    let descriptor = |rest: &str| described(format!("sp({TEST_WIF},{SPEND}){rest}"));
    let invalid = [
        (watch("5ec2e7", SPEND, &[]), "scan_private_key"),
        (watch(&"0".repeat(64), SPEND, &[]), "scan_private_key"),
        (watch(SECRET, "02", &[]), "spend_public_key"),
        (
            watch(SECRET, &format!("04{}", "1".repeat(128)), &[]),
            "spend_public_key",
        ),
        (watch(SECRET, SPEND, &[1; 11]), "labels"),
        (
            Watch {
                to_height: Some(1),
                ..good()
            },
            "to_height: requires",
        ),
        (
            Watch {
                from_height: Some(2),
                to_height: Some(1),
                ..good()
            },
            "to_height: must not be below from_height, which is 2",
        ),
        (
            Watch {
                from_height: Some(2),
                from_time: Some(Since(1)),
                ..good()
            },
            "from_time: expected from_height or from_time",
        ),
        (
            Watch {
                scan_private_key: None,
                ..good()
            },
            "scan_private_key: missing; expected scan_private_key and spend_public_key, or descriptor",
        ),
        (
            Watch {
                spend_public_key: None,
                ..good()
            },
            "spend_public_key: missing",
        ),
        (
            Watch {
                descriptor: descriptor("").descriptor,
                ..good()
            },
            "descriptor: it has both keys",
        ),
        (descriptor("?ml=11"), "descriptor: it has 11 labels (ml)"),
        (descriptor("#aaaaaaaa"), "descriptor: the checksum after #"),
        (
            described(format!("sp({MAIN_WIF},{SPEND})")),
            "descriptor: it is of the main network",
        ),
        (
            described(format!("sp({TEST_WIF},{TEST_WIF})")),
            "descriptor: has the private key for spending",
        ),
        (described("5ec2e7".to_owned()), "descriptor: is not a silent-payment"),
    ];
    for (watch, message) in invalid {
        let refusal = read(&watch, true).unwrap_err();
        assert!(refusal.message.contains(message), "{message}: {}", refusal.message);
        let secrets = ["5ec2e7", SECRET, TEST_WIF, MAIN_WIF];
        assert!(secrets.iter().all(|secret| !refusal.message.contains(secret)));
        assert_eq!(
            (refusal.code, refusal.in_reply_to.as_deref()),
            (ErrorCode::InvalidField, Some("m"))
        );
    }
}

#[test]
fn a_history_needs_an_index() {
    let early = Watch {
        from_height: Some(1),
        ..watch(SECRET, SPEND, &[])
    };
    let since = Watch {
        from_time: Some(Since(1)),
        ..watch(SECRET, SPEND, &[])
    };
    for (watch, field) in [(early, "from_height: "), (since, "from_time: ")] {
        let refusal = read(&watch, false).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::Unavailable);
        assert!(refusal.message.starts_with(field), "{}", refusal.message);
    }
}

#[test]
fn depths_are_few_and_increase() {
    let check = |depths: &[u32]| {
        let mut watch = watch(SECRET, SPEND, &[]);
        watch.confirm_at = Some(depths.to_vec());
        check_sizes(&watch, 100).map_err(|refusal| refusal.message)
    };
    for right in [&[][..], &[1], &[3, 6], &[2016], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]] {
        assert_eq!(check(right), Ok(()), "{right:?}");
    }
    for wrong in [
        &[0][..],
        &[2017],
        &[6, 3],
        &[3, 3],
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    ] {
        assert_eq!(check(wrong), Err(CONFIRM_AT.to_owned()), "{wrong:?}");
    }
}
