mod log;
mod migration;

use bitcoin::BlockHash;
use proptest::prelude::*;

use super::*;
use crate::testing::conformance::hash;

const WIDE: Retention = Retention {
    events: 1000,
    bytes: 1 << 20,
};

fn connect(store: &Store, height: u32) {
    let block = Some(BlockChange::Connect(height, hash(height)));
    store
        .commit(&Batch {
            block,
            ..Batch::default()
        })
        .unwrap();
}

#[test]
fn a_store_has_one_owner_and_one_network() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    let store = Store::open(&path, "regtest", WIDE).unwrap();
    assert!(matches!(Store::open(&path, "regtest", WIDE), Err(OpenError::InUse(_))));
    connect(&store, 7);
    drop(store);
    assert!(matches!(
        Store::check(&path, "mainnet"),
        Err(OpenError::OtherNetwork { .. })
    ));
    let error = Store::open(&path, "mainnet", WIDE).unwrap_err();
    assert!(
        matches!(&error, OpenError::OtherNetwork { found, .. } if found == "regtest"),
        "{error}"
    );
}

/// A first start with the wrong network, which found no node, must not decide for ever.
#[test]
fn a_store_without_a_block_takes_the_network_of_each_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    for network in ["mainnet", "regtest", "signet"] {
        assert!(!path.exists() || Store::check(&path, network).unwrap());
        drop(Store::open(&path, network, WIDE).unwrap());
    }
    connect(&Store::open(&path, "regtest", WIDE).unwrap(), 7);
    let error = Store::open(&path, "signet", WIDE).unwrap_err();
    assert!(
        matches!(&error, OpenError::OtherNetwork { found, .. } if found == "regtest"),
        "{error}"
    );
}

#[test]
fn an_interrupted_creation_does_not_prevent_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    std::fs::write(dir.path().join("relay.redb.new"), vec![0; 10_000]).unwrap();
    drop(Store::open(&path, "regtest", WIDE).unwrap());
    assert!(!dir.path().join("relay.redb.new").exists());
    Store::open(&path, "regtest", WIDE).unwrap();
}

#[cfg(unix)]
#[test]
fn another_file_in_place_of_a_store_is_reported_and_not_modified() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    let refused = |why: &str| {
        let error = Store::open(&path, "regtest", WIDE).unwrap_err();
        let error = format!("{error}: {:?}", std::error::Error::source(&error));
        assert!(error.contains("relay.redb") && error.contains(why), "{error}");
    };
    std::fs::write(&path, b"").unwrap();
    refused("it is empty");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    std::fs::remove_file(&path).unwrap();

    std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
    refused("it is a link to a file that does not exist");
    assert!(path.is_symlink());
    std::fs::remove_file(&path).unwrap();

    std::fs::create_dir(&path).unwrap();
    refused("it is a directory, not a regular file");
    std::fs::remove_dir(&path).unwrap();

    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    refused("it is a socket, not a regular file");
}

#[test]
fn a_file_that_is_not_a_store_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    std::fs::write(&path, vec![7; 10_000]).unwrap();
    assert!(matches!(
        Store::open(&path, "regtest", WIDE),
        Err(OpenError::Damaged { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// After any sequence of changes, the table of recent blocks is the end of the resulting chain.
    #[test]
    fn recent_blocks_follow_the_chain(steps in proptest::collection::vec(0u8..10, 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("relay.redb"), "regtest", WIDE).unwrap();
        let mut chain: Vec<(u32, BlockHash)> = Vec::new();
        for (salt, step) in (1u32..).zip(steps) {
            let next = chain.last().map_or(3000, |(h, _)| h + 1);
            let change = match step {
                0..=6 => { chain.push((next, hash(salt))); BlockChange::Connect(next, hash(salt)) }
                7 | 8 if !chain.is_empty() => {
                    let (h, _) = chain.pop().unwrap();
                    // The parent of the lowest known block is new to the store.
                    if chain.is_empty() { chain.push((h - 1, hash(u32::MAX - salt))) }
                    BlockChange::Disconnect { height: h, parent: chain.last().unwrap().1 }
                }
                _ => { chain = vec![(next + 10, hash(salt))]; BlockChange::Jump(next + 10, hash(salt)) }
            };
            store.commit(&Batch { block: Some(change), ..Batch::default() }).unwrap();
        }
        prop_assert_eq!(store.recent_blocks().unwrap(), chain);
    }
}

#[test]
fn the_newest_syncs_survive() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    let kept = usize::try_from(format::KEPT_SYNCS).unwrap();
    let records = |numbers: std::ops::Range<usize>| numbers.map(|n| n.to_string().into_bytes()).collect::<Vec<_>>();
    let store = Store::open(&path, "regtest", WIDE).unwrap();
    assert!(store.syncs().unwrap().is_empty());
    store.add_syncs(&records(0..3)).unwrap();
    store.add_syncs(&[]).unwrap();
    store.add_syncs(&records(3..4)).unwrap();
    drop(store);

    let store = Store::open(&path, "regtest", WIDE).unwrap();
    assert_eq!(store.syncs().unwrap(), records(0..4));
    store.add_syncs(&records(4..kept + 2)).unwrap();
    assert_eq!(store.syncs().unwrap(), records(2..kept + 2));
    // More at once than the table holds.
    store.add_syncs(&records(0..kept + 5)).unwrap();
    assert_eq!(store.syncs().unwrap(), records(5..kept + 5));
}
