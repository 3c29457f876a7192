use std::collections::BTreeMap;
use std::ops::Range;

use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use bitcoin::{Amount, Txid};
use proptest::prelude::*;
use sdk_relay_bip352::{EligibleTx, Prepared, Receiver, ScanKey, Search, TaprootOutput};

use super::*;
use crate::tasks::{BATCHES_BEHIND, ROWS_BEHIND};
use crate::{Entry, Facts, Keys, Row};

fn receiver(n: u8) -> Arc<Prepared> {
    let key = SecretKey::from_slice(&[n; 32]).unwrap();
    let spend = key.public_key(&Secp256k1::new());
    Arc::new(Prepared::plain(Receiver::new(ScanKey::from(key), spend, []).unwrap()))
}

fn rows(count: usize) -> Vec<Arc<Row>> {
    let tweak = SecretKey::from_slice(&[9; 32]).unwrap().public_key(&Secp256k1::new());
    let row = |n: usize| {
        let txid = Txid::hash(&n.to_le_bytes());
        let output = TaprootOutput {
            vout: 0,
            key: [1; 32],
            amount: Amount::ONE_SAT,
        };
        let eligible = EligibleTx {
            txid,
            tweak,
            outputs: vec![output],
        };
        Arc::new(Row {
            eligible,
            facts: Facts {
                txid,
                fee: None,
                size: 1,
            },
        })
    };
    (0..count).map(row).collect()
}

fn batch(class: Class, count: usize, mark: u64) -> Arc<Batch> {
    Arc::new(Batch {
        mark: Some(mark),
        ..Batch::new(class, rows(count).into(), 1)
    })
}

fn client(owner: Owner, address: u8, keys: &[(&Arc<Prepared>, &[u64])]) -> Client {
    Client {
        owner,
        address: [192, 0, 2, address].into(),
        keys: keys
            .iter()
            .map(|(keys, watches)| Entry::new(keys, watches.to_vec()))
            .collect(),
    }
}

/// The tasks that have ended, by owner and mark.
fn ended(queue: &mut Queue) -> Vec<(Owner, u64)> {
    queue
        .ended()
        .into_iter()
        .map(|(owner, batch)| (owner, batch.mark.unwrap()))
        .collect()
}

/// Processes all work, without matches. Returns owners and rows of the pieces.
fn work(queue: &mut Queue) -> Vec<(Vec<Owner>, Class, Range<usize>)> {
    let mut done = Vec::new();
    while let Some(piece) = queue.next(false) {
        let Piece::Scan(scan) = piece else {
            panic!("nothing was found")
        };
        done.push((scan.owners().collect(), scan.batch.class, scan.rows.clone()));
        queue.scanned(scan, []);
    }
    done
}

#[test]
fn the_end_of_a_backfill_is_reported_after_its_batches() {
    let keys = receiver(1);
    let mut queue = Queue::default();
    let client = client(1, 1, &[(&keys, &[7])]);
    let ended = |queue: &mut Queue| queue.ended().iter().map(|(_, batch)| batch.last_of).collect::<Vec<_>>();
    for _ in 0..2 {
        let segment = Arc::new(Batch::new(Class::Backfill, rows(3).into(), 1));
        queue.push(&segment, &client).unwrap();
    }
    queue.push(&Arc::new(Batch::last_of(7)), &client).unwrap();
    assert_eq!(ended(&mut queue), []);
    let Some(Piece::Scan(first)) = queue.next(false) else {
        panic!("a scan")
    };
    queue.scanned(first, []);
    assert_eq!(ended(&mut queue), [], "the second is not scanned");
    work(&mut queue);
    assert_eq!(ended(&mut queue), [Some(7)]);
    // Of an empty mempool.
    queue.push(&Arc::new(Batch::last_of(8)), &client).unwrap();
    assert_eq!(ended(&mut queue), [Some(8)]);
    assert!(queue.owners.is_empty() && queue.backfill.is_empty());
}

#[test]
fn equal_keys_are_scanned_once_for_all_owners() {
    let (shared, other) = (receiver(1), receiver(2));
    let mut queue = Queue::default();
    let block = batch(Class::Block, 3, 7);
    queue
        .push(&block, &client(1, 1, &[(&shared, &[10, 11]), (&other, &[12])]))
        .unwrap();
    queue.push(&block, &client(2, 2, &[(&shared, &[20])])).unwrap();
    let Some(Piece::Scan(scan)) = queue.next(false) else {
        panic!("a piece")
    };
    assert_eq!(scan.columns.len(), 2);
    assert_eq!(scan.owners().collect::<Vec<_>>(), [1, 2]);
    assert!(queue.next(false).is_none(), "all of it is in one piece");
    queue.scanned(scan, [(1, 0)]);
    assert_eq!(ended(&mut queue), [], "the search is not over");
    // One search for the three watches, charged to the first owner, and to the second once the first leaves.
    let Some(Piece::Search(search)) = queue.next(false) else {
        panic!("a search")
    };
    assert_eq!((search.row, search.watches()), (1, vec![10, 11, 20]));
    queue.leave(1);
    queue.searched(search, 5, 1);
    assert_eq!(ended(&mut queue), [(2, 7)]);
    assert!(queue.owners.is_empty());
}

#[test]
fn a_search_continues_for_others_when_its_payer_leaves() {
    let shared = receiver(1);
    let mut queue = Queue::default();
    let block = batch(Class::Block, 3, 7);
    queue.push(&block, &client(1, 1, &[(&shared, &[10])])).unwrap();
    queue.push(&block, &client(2, 2, &[(&shared, &[20])])).unwrap();
    let Some(Piece::Scan(scan)) = queue.next(false) else {
        panic!("a piece")
    };
    queue.scanned(scan, [(2, 0)]);
    queue.leave(1);
    let Some(Piece::Search(search)) = queue.next(false) else {
        panic!("it goes on")
    };
    assert_eq!(search.watches(), [20]);
}

#[test]
fn batches_are_in_order_with_mempool_before_blocks_before_backfill() {
    let keys = receiver(1);
    let mut queue = Queue::default();
    let classes = [Class::Backfill, Class::Block, Class::Block, Class::Mempool];
    for (mark, class) in (1..).zip(classes) {
        queue
            .push(&batch(class, 1, mark), &client(1, 1, &[(&keys, &[1])]))
            .unwrap();
    }
    let Some(Piece::Scan(mempool)) = queue.next(true) else {
        panic!("a piece")
    };
    assert_eq!(mempool.batch.mark, Some(4));
    assert!(queue.next(true).is_none(), "the express thread does nothing else");
    let Some(Piece::Scan(block)) = queue.next(false) else {
        panic!("a piece")
    };
    assert_eq!(block.batch.mark, Some(2));
    let Some(Piece::Scan(backfill)) = queue.next(false) else {
        panic!("a piece")
    };
    assert_eq!(backfill.batch.mark, Some(1), "the second block waits for the first");
    assert!(queue.next(false).is_none());
    queue.scanned(block, []);
    let Some(Piece::Scan(block)) = queue.next(false) else {
        panic!("a piece")
    };
    assert_eq!(block.batch.mark, Some(3));
}

#[test]
fn work_ends_with_its_watch_its_connection_and_its_block() {
    let (kept, unwatched) = (receiver(1), receiver(2));
    let mut queue = Queue::default();
    let block = batch(Class::Block, 10, 7);
    queue
        .push(&block, &client(1, 1, &[(&kept, &[1]), (&unwatched, &[2])]))
        .unwrap();
    let weak = Arc::downgrade(&unwatched);
    drop(unwatched);
    assert!(weak.upgrade().is_none(), "queued work does not keep keys");
    let Some(Piece::Scan(scan)) = queue.next(false) else {
        panic!("a piece")
    };
    assert_eq!(scan.columns.len(), 1);
    queue.leave(1);
    queue.scanned(scan, [(0, 0)]);
    assert!(queue.next(false).is_none() && ended(&mut queue).is_empty());

    queue.push(&block, &client(3, 1, &[(&kept, &[1])])).unwrap();
    block.cancel();
    assert!(queue.next(false).is_none());
    assert_eq!(ended(&mut queue), [(3, 7)], "waiting owners are released");
    assert!(queue.owners.is_empty());
}

#[test]
fn an_owner_too_far_behind_is_refused_and_others_are_not() {
    let keys = receiver(1);
    let mut queue = Queue::default();
    let large = Arc::new(Batch {
        mark: Some(1),
        ..Batch::new(Class::Block, vec![Arc::clone(&rows(1)[0]); ROWS_BEHIND + 1].into(), 1)
    });
    // One batch is always accepted, whatever its size.
    queue.push(&large, &client(1, 1, &[(&keys, &[1])])).unwrap();
    let next = batch(Class::Mempool, 1, 2);
    assert_eq!(queue.push(&next, &client(1, 1, &[(&keys, &[1])])), Err(Behind));
    queue.push(&next, &client(2, 1, &[(&keys, &[2])])).unwrap();
    let snapshot = batch(Class::Backfill, 1, 3);
    queue.push(&snapshot, &client(1, 1, &[(&keys, &[1])])).unwrap();

    let many: Keys = (0..2_000).map(|n| Entry::new(&keys, vec![n])).collect();
    let client = |address| Client {
        owner: 9 + u64::from(address),
        address: [198, 51, 100, address].into(),
        keys: Arc::clone(&many),
    };
    let snapshot = Arc::new(Batch::new(
        Class::Backfill,
        vec![Arc::clone(&rows(1)[0]); 10_000].into(),
        1,
    ));
    let busy = |queue: &Queue, address| queue.is_busy(client(address).address);
    assert!(!busy(&queue, 1));
    queue.push(&snapshot, &client(1)).unwrap();
    assert!(!busy(&queue, 1) && !busy(&queue, 2));
    let other = Arc::new(Batch::new(
        Class::Backfill,
        vec![Arc::clone(&rows(1)[0]); 10_000].into(),
        1,
    ));
    queue.push(&other, &client(1)).unwrap();
    assert!(busy(&queue, 1) && !busy(&queue, 2));
    queue.leave(10);
    assert!(!busy(&queue, 1));
}

#[test]
fn an_owner_with_too_many_small_batches_is_refused_and_others_are_not() {
    let keys = receiver(1);
    let mut queue = Queue::default();
    let mut accepted = 0;
    while queue
        .push(&batch(Class::Mempool, 1, 1), &client(1, 1, &[(&keys, &[1])]))
        .is_ok()
    {
        accepted += 1;
        assert!(accepted <= BATCHES_BEHIND + 1, "the queue is not bounded");
    }
    assert_eq!(accepted, BATCHES_BEHIND + 1);
    let next = batch(Class::Block, 1, 2);
    queue.push(&next, &client(2, 1, &[(&keys, &[2])])).unwrap();
}

/// Each of these addresses stays below its own bound.
#[test]
fn the_backfill_of_all_addresses_together_is_bounded() {
    let keys = receiver(1);
    let many: Keys = (0..2_000).map(|n| Entry::new(&keys, vec![n])).collect();
    let client = |address: u8| Client {
        owner: u64::from(address),
        address: [198, 51, 100, address].into(),
        keys: Arc::clone(&many),
    };
    let snapshot = Arc::new(Batch::new(
        Class::Backfill,
        vec![Arc::clone(&rows(1)[0]); 10_000].into(),
        1,
    ));
    let mut queue = Queue::default();
    let newcomer = client(0).address;
    let mut addresses = 0;
    while !queue.is_busy(newcomer) {
        addresses += 1;
        assert!(addresses <= 20, "the queue is not bounded");
        queue.push(&snapshot, &client(addresses)).unwrap();
        assert!(queue.backfill[&client(addresses).address] < BACKFILL_PER_ADDRESS);
    }
    assert!(addresses > 9, "{addresses}");
    queue.leave(1);
    assert!(!queue.is_busy(newcomer));
}

#[test]
fn matches_are_reported_in_the_order_of_the_rows() {
    let keys = receiver(1);
    let mut queue = Queue::default();
    let block = Arc::new(Batch {
        mark: Some(1),
        ..Batch::new(Class::Block, rows(64).into(), 1_000)
    });
    queue.push(&block, &client(1, 1, &[(&keys, &[1])])).unwrap();
    let mut scans = Vec::new();
    while let Some(Piece::Scan(scan)) = queue.next(false) {
        scans.push(scan);
    }
    assert!(scans.len() > 2);
    // The last piece is finished first.
    for scan in scans.into_iter().rev() {
        assert!(queue.next(false).is_none(), "rows before it are still being scanned");
        queue.scanned(scan, [(3, 0), (1, 0)]);
    }
    let mut found = Vec::new();
    while let Some(Piece::Search(search)) = queue.next(false) {
        assert!(queue.next(false).is_none(), "one after the other");
        found.push(search.row);
        queue.searched(search, 1, 0);
    }
    assert!(found.len() > 4 && found.is_sorted(), "{found:?}");
    assert_eq!(ended(&mut queue), [(1, 1)]);
}

#[test]
fn new_watches_of_a_connection_share_the_snapshot_of_the_mempool() {
    let (first, second) = (receiver(1), receiver(2));
    let mut queue = Queue::default();
    let snapshot = Arc::new(Batch::new(Class::Backfill, rows(100).into(), 1));
    for (keys, watch) in [(&first, 1), (&second, 2), (&first, 3)] {
        queue.push(&snapshot, &client(1, 1, &[(keys, &[watch])])).unwrap();
    }
    let Some(Piece::Scan(scan)) = queue.next(false) else {
        panic!("a piece")
    };
    assert_eq!(
        (scan.columns.len(), scan.rows.len()),
        (2, 100),
        "equal keys are scanned once"
    );
    // A started task is not joined: its first rows were not scanned for the new watch.
    queue.push(&snapshot, &client(1, 1, &[(&second, &[4])])).unwrap();
    queue.scanned(scan, []);
    assert_eq!(work(&mut queue).len(), 1);
    assert!(queue.backfill.is_empty() && queue.backfill_of_all == 0 && queue.owners.is_empty());
}

#[test]
fn many_owners_share_the_pieces_of_a_block() {
    let keys: Vec<_> = (1..=200).map(receiver).collect();
    let mut queue = Queue::default();
    let block = Arc::new(Batch {
        mark: Some(1),
        ..Batch::new(Class::Block, rows(64).into(), 200)
    });
    for (owner, keys) in (0..).zip(&keys) {
        let address = u8::try_from(owner).unwrap();
        queue
            .push(&block, &client(owner, address, &[(keys, &[owner])]))
            .unwrap();
    }
    let pieces = work(&mut queue);
    let pairs: usize = pieces.iter().map(|(owners, _, rows)| owners.len() * rows.len()).sum();
    assert_eq!(pairs, 200 * 64);
    assert!(pieces.len() < 20, "{} pieces", pieces.len());
    assert_eq!(ended(&mut queue).len(), 200);
}

#[test]
fn the_snapshot_for_a_new_watch_is_not_starved_by_the_blocks_of_others() {
    let (busy, new) = (receiver(1), receiver(2));
    let mut queue = Queue::default();
    for mark in 0..2 * BACKFILL_TURN {
        let block = batch(Class::Block, 1, mark);
        queue.push(&block, &client(1, 1, &[(&busy, &[1])])).unwrap();
    }
    let snapshot = batch(Class::Backfill, 1, 99);
    queue.push(&snapshot, &client(2, 2, &[(&new, &[2])])).unwrap();
    let classes: Vec<_> = work(&mut queue).into_iter().map(|(_, class, _)| class).collect();
    let waited = classes.iter().position(|class| *class == Class::Backfill);
    assert_eq!(waited.map(|pieces| pieces as u64 + 1), Some(BACKFILL_TURN));
}

/// The search in the first row, shared by all clients, after its start.
fn first_search(queue: &mut Queue, receiver: &Receiver) -> Searching {
    let Some(Piece::Scan(scan)) = queue.next(true) else {
        panic!("a piece")
    };
    queue.scanned(scan, [(0, 0)]);
    let Some(Piece::Search(mut search)) = queue.next(true) else {
        panic!("a search")
    };
    let row = Arc::clone(&search.batch.rows[0]);
    search.search = Some(Box::new(Search::new(receiver, &row.eligible)));
    search
}

#[test]
fn searches_of_one_owner_do_not_delay_others() {
    let (attacker, honest) = (receiver(1), receiver(2));
    let mut queue = Queue::default();
    queue
        .push(&batch(Class::Mempool, 1, 1), &client(1, 1, &[(&attacker, &[1])]))
        .unwrap();
    let search = first_search(&mut queue, &attacker);
    queue.searched(search, 50 * PIECE, 0);
    queue
        .push(&batch(Class::Mempool, 1, 2), &client(2, 2, &[(&honest, &[2])]))
        .unwrap();
    let Some(Piece::Scan(scan)) = queue.next(true) else {
        panic!("the honest one goes first")
    };
    assert_eq!(scan.owners().collect::<Vec<_>>(), [2]);
}

/// Thousands of watches with one key are scanned once, and detection notifies each of them.
#[test]
fn notifications_of_one_owner_do_not_delay_others() {
    let (attacker, honest) = (receiver(1), receiver(2));
    let many: Vec<u64> = (1..=100).collect();
    let mut queue = Queue::default();
    for owner in 1..=60 {
        let keys = [(&attacker, &*many)];
        queue
            .push(&batch(Class::Mempool, 1, 1), &client(owner, 1, &keys))
            .unwrap();
    }
    let search = first_search(&mut queue, &attacker);
    queue.searched(search, 1, 50);
    queue
        .push(&batch(Class::Mempool, 1, 2), &client(99, 2, &[(&honest, &[1])]))
        .unwrap();
    let Some(Piece::Scan(scan)) = queue.next(true) else {
        panic!("the honest one goes first")
    };
    assert_eq!(scan.owners().next(), Some(99));
}

proptest! {
    /// For any sequence of pushes and leaves, and any order in which threads finish: every pair of row and key of a
    /// remaining owner is scanned exactly once, every batch ends once, and the queue becomes empty.
    #[test]
    fn everything_is_scanned_once(
        batches in proptest::collection::vec((0_usize..3, 1_usize..50, any::<u8>()), 1..12),
        leaves in proptest::option::of(0_u64..4),
        order in proptest::collection::vec(any::<proptest::sample::Index>(), 200),
    ) {
        let keys: Vec<_> = (1..=4).map(receiver).collect();
        let mut queue = Queue::default();
        let mut expected = BTreeMap::new();
        for (mark, (class, count, owners)) in (1..).zip(batches) {
            let class = [Class::Mempool, Class::Block, Class::Backfill][class];
            let batch = Arc::new(Batch { mark: Some(mark), ..Batch::new(class, rows(count).into(), 300) });
            for owner in (0..4_u64).filter(|owner| owners >> owner & 1 == 1) {
                let own = &keys[usize::try_from(owner).unwrap()];
                queue.push(&batch, &client(owner, u8::try_from(owner % 2).unwrap(), &[(own, &[owner]), (&keys[0], &[100 + owner])])).unwrap();
                expected.insert((owner, mark), count);
            }
        }
        let (mut open, mut scanned, mut over) = (Vec::new(), BTreeMap::<(Owner, u64), usize>::new(), Vec::new());
        let mut order = order.into_iter();
        let mut left = leaves;
        loop {
            let piece = queue.next(false);
            over.extend(ended(&mut queue));
            match piece {
                Some(Piece::Scan(scan)) => open.push(scan),
                Some(Piece::Search(_)) => panic!("nothing was found"),
                None if open.is_empty() => break,
                None => {}
            }
            if open.len() > 2 || queue.next(true).map(|piece| match piece {
                Piece::Scan(scan) => open.push(scan),
                Piece::Search(_) => panic!("nothing was found"),
            }).is_none() && !open.is_empty() {
                let at = order.next().map_or(0, |index| index.index(open.len()));
                let scan = open.swap_remove(at);
                for (owner, serial) in &scan.of {
                    let _ = serial;
                    *scanned.entry((*owner, scan.batch.mark.unwrap())).or_default() += scan.rows.len();
                }
                queue.scanned(scan, []);
            }
            if scanned.len() > 3 && let Some(owner) = left.take() {
                queue.leave(owner);
            }
        }
        over.extend(ended(&mut queue));
        let gone = |owner: Owner| leaves == Some(owner);
        for ((owner, mark), rows) in &expected {
            let times = over.iter().filter(|e| **e == (*owner, *mark)).count();
            if gone(*owner) {
                prop_assert!(times <= 1);
            } else {
                prop_assert_eq!(times, 1);
                prop_assert_eq!(scanned.get(&(*owner, *mark)), Some(rows));
            }
        }
        prop_assert!(queue.owners.is_empty() && queue.backfill.is_empty() && queue.backfill_of_all == 0);
    }
}
