mod run;

use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use bitcoin::{Amount, BlockHash, Txid};
use sdk_relay_bip352::{EligibleTx, Match, OutputTweak, Receiver, ScanKey};
use sdk_relay_chain::BlockRef;
use sdk_relay_index::{Paid, Scanned};
use sdk_relay_store::index::IndexedBlock;

use super::*;
use crate::mailbox::Mailboxes;

fn receiver(n: u16) -> Arc<Prepared> {
    let mut bytes = [1; 32];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    let key = SecretKey::from_slice(&bytes).unwrap();
    let spend = key.public_key(&Secp256k1::new());
    Arc::new(Prepared::plain(Receiver::new(ScanKey::from(key), spend, []).unwrap()))
}

fn scans(address: u8, keys: &[Arc<Prepared>]) -> Vec<Scan> {
    let (mailbox, _letters) = Arc::<Mailboxes>::default().mailbox([192, 0, 2, address].into());
    let scan = |receiver: &Arc<Prepared>| Scan {
        watch_id: String::new(),
        receiver: Arc::clone(receiver),
        mailbox: mailbox.clone(),
        next: 0,
        until: 100,
        served: 0,
    };
    keys.iter().map(scan).collect()
}

fn owner(scans: &[Scan]) -> Owner {
    scans[0].mailbox.owner()
}

/// The connection that is charged for a scan.
fn client(scan: &Scan) -> (Owner, IpAddr) {
    (scan.mailbox.owner(), scan.mailbox.address())
}

#[test]
fn a_turn_belongs_to_its_owner_however_many_scans_others_have() {
    let keys: Vec<_> = (0..300).map(receiver).collect();
    let (honest, greedy) = (scans(1, &keys[..1]), scans(2, &keys[1..]));
    let mut share = Share::new(owner(&honest), 1, false);
    assert_eq!(share.take(&honest[0]), Some(0));
    let others = greedy.iter().filter(|scan| share.take(scan).is_some()).count();
    assert_eq!(
        (others, share.receivers.len()),
        (1, 2),
        "as many of each address as of the owner of the turn"
    );

    let mut share = Share::new(owner(&greedy), ROWS_AT_LEAST, false);
    let own = greedy.iter().filter(|scan| share.take(scan).is_some()).count();
    assert_eq!(own, KEYS, "a turn is bounded");
    assert_eq!(share.take(&honest[0]), None);

    let mut share = Share::new(owner(&greedy), ROWS_AT_LEAST, true);
    let own = greedy.iter().filter(|scan| share.take(scan).is_some()).count();
    assert_eq!(own, KEYS / 2, "others have scans in the same range");
    assert_eq!(share.take(&honest[0]), Some(own), "and share the turn");

    for (rows, most) in [
        (2_048, KEYS_AT_LEAST),
        (1_024, 2 * KEYS_AT_LEAST),
        (1_000_000, KEYS_AT_LEAST),
    ] {
        let mut share = Share::new(owner(&greedy), rows, false);
        let own = greedy.iter().filter(|scan| share.take(scan).is_some()).count();
        assert_eq!(own, most, "fewer keys where a block has {rows} rows");
    }
}

#[test]
fn equal_keys_share_a_column_in_a_turn() {
    let same = receiver(7);
    let twins = scans(1, &vec![same; 500]);
    let mut share = Share::new(owner(&twins), 1, false);
    assert!(twins.iter().all(|scan| share.take(scan) == Some(0)));
    assert_eq!(share.receivers.len(), 1);
}

#[test]
fn addresses_take_turns_by_cost() {
    let keys: Vec<_> = (0..20).map(receiver).collect();
    let mut all = scans(1, &keys[..1]);
    let honest = owner(&all);
    all.extend((2..12).flat_map(|n| scans(9, &keys[n..=n])));
    let mut turns = Turns::new(QUANTUM);
    let (mut of_honest, mut of_others) = (0, 0);
    for _ in 0..400 {
        let owner = turns.next(all.iter().map(client)).expect("all owners are ready");
        turns.charge(owner, TURN / 2);
        if owner == honest {
            of_honest += 1;
        } else {
            of_others += 1;
        }
    }
    assert!(
        (190..=210).contains(&of_honest),
        "{of_honest} turns, and {of_others} of ten connections of one address"
    );
    // An owner with few keys does not wait for a whole round of one with many.
    let greedy = turns
        .next(all.iter().filter(|s| s.mailbox.owner() != honest).map(client))
        .expect("they are ready");
    turns.charge(greedy, TURN);
    for _ in 0..4 {
        let pair: Vec<&Scan> = all
            .iter()
            .filter(|s| [honest, greedy].contains(&s.mailbox.owner()))
            .collect();
        assert_eq!(turns.next(pair.into_iter().map(client)), Some(honest));
        turns.charge(honest, QUANTUM);
    }
    let rest: Vec<_> = all.drain(1..).collect();
    let next = turns.next(rest.iter().map(client)).expect("they are ready");
    assert_ne!(next, honest, "an owner without scans has no turn");
}

/// A key of an owner that has used far more would lengthen each turn of the others by half.
#[test]
fn an_owner_deep_in_debt_shares_no_turn_of_others() {
    let keys: Vec<_> = (0..3).map(receiver).collect();
    let all: Vec<Scan> = keys
        .iter()
        .zip(1..)
        .flat_map(|(key, n)| scans(n, std::slice::from_ref(key)))
        .collect();
    let [honest, greedy, other] = [0, 1, 2].map(|n: usize| all[n].mailbox.owner());
    let mut turns = Turns::new(QUANTUM);
    turns.next(all.iter().map(client)).expect("all owners are ready");
    turns.charge(greedy, TURN);
    assert_ne!(turns.next(all.iter().map(client)), Some(greedy));
    let co_scheduled = turns.co_scheduled();
    assert!([honest, other].iter().all(|owner| co_scheduled.contains(owner)));
    assert!(!co_scheduled.contains(&greedy), "{co_scheduled:?}");
}

/// Two blocks, each with this number of payments.
fn paid(outputs: u32) -> (Vec<IndexedBlock>, Scanned) {
    let key = SecretKey::from_slice(&[7; 32]).unwrap().public_key(&Secp256k1::new());
    let at = |height| BlockRef {
        height,
        hash: BlockHash::all_zeros(),
    };
    let block = |height| IndexedBlock {
        height,
        hash: BlockHash::all_zeros(),
        time: 1,
        transactions: Vec::new(),
        spent: Vec::new(),
    };
    let found = |vout| Match {
        vout,
        key: [0; 32],
        amount: Amount::ZERO,
        k: vout,
        label: None,
        tweak: OutputTweak::from_bytes([1; 32]),
    };
    let paid = |height| Paid {
        at: at(height),
        time: 1,
        eligible: EligibleTx {
            txid: Txid::from_byte_array([7; 32]),
            tweak: key,
            outputs: Vec::new(),
        },
        fee: None,
        size: 1,
        matches: (0..outputs).map(found).collect(),
    };
    let scanned = Scanned {
        paid: vec![paid(0), paid(1)],
        unfinished: None,
    };
    (vec![block(0), block(1)], scanned)
}

#[test]
fn the_scans_of_a_connection_add_no_more_than_its_mailbox_takes_but_one_block() {
    let scans = scans(1, &[receiver(1)]);
    let through = |outputs, payments, is_untouched| {
        let (blocks, scanned) = paid(outputs);
        let left = Left { payments, is_untouched };
        scans[0]
            .scanned(&blocks, scanned, &left)
            .map(|range| range.through.height)
    };
    assert_eq!(through(100, 200, true), Some(1));
    assert_eq!(through(100, 199, true), Some(0));
    assert_eq!(through(100, 99, true), Some(0), "a block is not divided");
    assert_eq!(through(100, 100, false), Some(0));
    assert_eq!(
        through(100, 99, false),
        None,
        "another scan of the connection has used the rest"
    );
    assert_eq!(through(0, 0, false), Some(1), "blocks without payments take nothing");
    let left = left_for(&scans[0].mailbox);
    assert_eq!(
        (left.payments, left.is_untouched),
        (LOOKED_UP, true),
        "one search for their spends"
    );
}
