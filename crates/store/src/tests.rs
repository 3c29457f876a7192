use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, OutPoint, Txid};
use bytes::Bytes;
use proptest::prelude::*;
use sdk_relay_protocol::Topic;

use super::*;

const WIDE: Retention = Retention {
    events: 1000,
    bytes: 1 << 20,
};
const ALL: ReadLimit = ReadLimit {
    events: usize::MAX,
    bytes: usize::MAX,
};

fn hash(n: u32) -> BlockHash {
    BlockHash::hash(&n.to_le_bytes())
}

fn entry(id: u64, size: usize) -> LogEntry {
    LogEntry {
        id,
        topic: Topic::Notifications,
        payload: Bytes::from(vec![b'x'; size]),
    }
}

fn outpoint(n: u32) -> OutPoint {
    OutPoint {
        txid: Txid::hash(&n.to_le_bytes()),
        vout: n,
    }
}

fn ids(store: &Store, after: u64) -> Vec<u64> {
    store.read_after(after, ALL).unwrap().iter().map(|e| e.id).collect()
}

#[test]
fn a_commit_survives_and_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    let store = Store::open(&path, "regtest", WIDE).unwrap();
    assert_eq!(store.next_event_id().unwrap(), 1);
    let batch = Batch {
        block: Some(BlockChange::Connect(7, hash(7))),
        events: vec![entry(1, 3), entry(2, 4)],
        payments: vec![(outpoint(1), Some(b"one".to_vec()))],
    };
    store.commit(&batch).unwrap();
    // A wrong number takes the whole batch down with it.
    let wrong = Batch {
        block: Some(BlockChange::Connect(8, hash(8))),
        events: vec![entry(9, 1)],
        ..Batch::default()
    };
    assert!(matches!(
        store.commit(&wrong),
        Err(StoreError::OutOfSequence { expected: 3, found: 9 })
    ));
    drop(store);

    let store = Store::open(&path, "regtest", WIDE).unwrap();
    assert_eq!(store.recent_blocks().unwrap(), [(7, hash(7))]);
    assert_eq!(store.read_after(0, ALL).unwrap(), batch.events);
    assert_eq!(store.payments().unwrap(), [(outpoint(1), b"one".to_vec())]);
    assert_eq!(store.next_event_id().unwrap(), 3);
    store
        .commit(&Batch {
            payments: vec![(outpoint(1), None)],
            ..Batch::default()
        })
        .unwrap();
    assert!(store.payments().unwrap().is_empty());
}

#[test]
fn a_store_has_one_owner_and_one_network() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    let store = Store::open(&path, "regtest", WIDE).unwrap();
    assert!(matches!(Store::open(&path, "regtest", WIDE), Err(OpenError::InUse(_))));
    drop(store);
    let error = Store::open(&path, "mainnet", WIDE).unwrap_err();
    assert!(
        matches!(&error, OpenError::OtherNetwork { found, .. } if found == "regtest"),
        "{error}"
    );
}

#[test]
fn what_a_cut_making_left_is_no_hindrance() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    std::fs::write(dir.path().join("relay.redb.new"), vec![0; 10_000]).unwrap();
    drop(Store::open(&path, "regtest", WIDE).unwrap());
    assert!(!dir.path().join("relay.redb.new").exists());
    Store::open(&path, "regtest", WIDE).unwrap();
}

#[cfg(unix)]
#[test]
fn what_stands_in_the_place_of_a_store_is_named_and_left_as_it_is() {
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
    refused("it is not a regular file");
    std::fs::remove_dir(&path).unwrap();

    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    refused("it is not a regular file");
}

#[test]
fn a_file_that_is_no_store_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    std::fs::write(&path, vec![7; 10_000]).unwrap();
    assert!(matches!(
        Store::open(&path, "regtest", WIDE),
        Err(OpenError::Damaged { .. })
    ));
}

#[test]
fn the_log_is_bounded_in_events_and_in_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let few = Retention {
        events: 3,
        bytes: 1 << 20,
    };
    let store = Store::open(&dir.path().join("a.redb"), "regtest", few).unwrap();
    for id in 1..=10 {
        store
            .commit(&Batch {
                events: vec![entry(id, 10)],
                ..Batch::default()
            })
            .unwrap();
    }
    assert_eq!(ids(&store, 0), [8, 9, 10]);
    assert_eq!(store.complete_from().unwrap(), 8);

    let small = Retention {
        events: 1000,
        bytes: 250,
    };
    let store = Store::open(&dir.path().join("b.redb"), "regtest", small).unwrap();
    for id in 1..=10 {
        store
            .commit(&Batch {
                events: vec![entry(id, 99)],
                ..Batch::default()
            })
            .unwrap();
    }
    assert_eq!(ids(&store, 0), [9, 10]);
    store
        .commit(&Batch {
            events: vec![entry(11, 5000)],
            ..Batch::default()
        })
        .unwrap();
    assert_eq!(ids(&store, 0), [11], "the newest stays whatever its size");
    store
        .commit(&Batch {
            events: vec![entry(12, 10)],
            ..Batch::default()
        })
        .unwrap();
    assert_eq!(ids(&store, 0), [12]);
}

#[test]
fn the_parts_of_a_large_block_stay_together_until_the_next_commit() {
    let dir = tempfile::tempdir().unwrap();
    let small = Retention {
        events: 1000,
        bytes: 250,
    };
    let store = Store::open(&dir.path().join("relay.redb"), "regtest", small).unwrap();
    let commit = |ids: std::ops::RangeInclusive<u64>, size| {
        let events = ids.map(|id| entry(id, size)).collect();
        store
            .commit(&Batch {
                events,
                ..Batch::default()
            })
            .unwrap();
    };
    commit(1..=2, 10);
    commit(3..=7, 200);
    assert_eq!(ids(&store, 0), [3, 4, 5, 6, 7]);
    assert_eq!(
        store.complete_from().unwrap(),
        3,
        "who had all before the block gets all of it"
    );
    commit(8..=8, 10);
    assert_eq!(ids(&store, 0), [7, 8]);
    assert_eq!(store.complete_from().unwrap(), 7);
}

#[test]
fn reads_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("relay.redb"), "regtest", WIDE).unwrap();
    store
        .commit(&Batch {
            events: (1..=10).map(|id| entry(id, 100)).collect(),
            ..Batch::default()
        })
        .unwrap();
    let read = |after, limit| {
        store
            .read_after(after, limit)
            .unwrap()
            .iter()
            .map(|e| e.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        read(
            3,
            ReadLimit {
                events: 2,
                bytes: usize::MAX
            }
        ),
        [4, 5]
    );
    assert_eq!(read(3, ReadLimit { events: 9, bytes: 250 }), [4, 5]);
    assert_eq!(read(3, ReadLimit { events: 9, bytes: 1 }), [4], "one is always read");
    assert!(read(10, ALL).is_empty());
    assert!(read(u64::MAX, ALL).is_empty());
}

#[test]
fn a_jump_is_a_gap_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("relay.redb"), "regtest", WIDE).unwrap();
    let first = Batch {
        block: Some(BlockChange::Connect(1, hash(1))),
        events: vec![entry(1, 1)],
        ..Batch::default()
    };
    store.commit(&first).unwrap();
    store
        .commit(&Batch {
            block: Some(BlockChange::Jump(50, hash(50))),
            ..Batch::default()
        })
        .unwrap();
    assert_eq!(store.complete_from().unwrap(), 2);
    assert_eq!(store.hole_before().unwrap(), 2);
    assert_eq!(store.recent_blocks().unwrap(), [(50, hash(50))]);
}

/// A kill between the two halves of a reorganisation must not leave a store that knows no block: the stream would begin anew at the node's tip,
/// and the blocks in between would be lost.
#[test]
fn the_parent_of_the_only_known_block_holds_when_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.redb");
    let store = Store::open(&path, "regtest", WIDE).unwrap();
    let commit = |change| {
        let batch = Batch {
            block: Some(change),
            ..Batch::default()
        };
        store.commit(&batch).unwrap();
    };
    commit(BlockChange::Jump(7, hash(7)));
    assert_eq!(store.hole_before().unwrap(), 0, "the first block leaves nothing out");
    commit(BlockChange::Disconnect {
        height: 7,
        parent: hash(6),
    });
    assert_eq!(store.recent_blocks().unwrap(), [(6, hash(6))]);
    assert_eq!(store.complete_from().unwrap(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// The table of recent blocks is the end of the chain that the changes make, whatever they are.
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
                    // Below the lowest block that the store knows, the parent is news.
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
