use bitcoin::secp256k1::{Secp256k1, SecretKey};
use sdk_relay_bip352::{Receiver, ScanKey};

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

#[test]
fn a_turn_belongs_to_whoever_has_it_however_many_scans_others_have() {
    let keys: Vec<_> = (0..300).map(receiver).collect();
    let (honest, greedy) = (scans(1, &keys[..1]), scans(2, &keys[1..]));
    let mut share = Share::new(owner(&honest), 1, false);
    assert_eq!(share.take(&honest[0]), Some(0));
    let others = greedy.iter().filter(|scan| share.take(scan).is_some()).count();
    assert_eq!(
        (others, share.receivers.len()),
        (1, 2),
        "as many of each address as the one who has the turn"
    );

    let mut share = Share::new(owner(&greedy), ROWS_AT_LEAST, false);
    let own = greedy.iter().filter(|scan| share.take(scan).is_some()).count();
    assert_eq!(own, KEYS, "a turn is bounded");
    assert_eq!(share.take(&honest[0]), None);

    let mut share = Share::new(owner(&greedy), ROWS_AT_LEAST, true);
    let own = greedy.iter().filter(|scan| share.take(scan).is_some()).count();
    assert_eq!(own, KEYS / 2, "others have scans in the same scanned");
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
fn equal_keys_share_a_place_in_a_turn() {
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
    let mut turns = Turns::default();
    let (mut of_honest, mut of_others) = (0, 0);
    for _ in 0..400 {
        let owner = turns.next(all.iter()).expect("everybody is ready");
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
    // One that scans for few keys need not wait for the whole round of one that scans for many.
    let greedy = turns
        .next(all.iter().filter(|s| s.mailbox.owner() != honest))
        .expect("they are ready");
    turns.charge(greedy, TURN);
    for _ in 0..4 {
        let pair: Vec<&Scan> = all
            .iter()
            .filter(|s| [honest, greedy].contains(&s.mailbox.owner()))
            .collect();
        assert_eq!(turns.next(pair.into_iter()), Some(honest));
        turns.charge(honest, QUANTUM);
    }
    let rest: Vec<_> = all.drain(1..).collect();
    let next = turns.next(rest.iter()).expect("they are ready");
    assert_ne!(next, honest, "who has nothing to scan has no turn");
}

/// A key of somebody who has had far more would make each turn of the others half as long again.
#[test]
fn who_is_deep_in_debt_shares_no_turn_of_others() {
    let keys: Vec<_> = (0..3).map(receiver).collect();
    let all: Vec<Scan> = keys
        .iter()
        .zip(1..)
        .flat_map(|(key, n)| scans(n, std::slice::from_ref(key)))
        .collect();
    let [honest, greedy, other] = [0, 1, 2].map(|n: usize| all[n].mailbox.owner());
    let mut turns = Turns::default();
    turns.next(all.iter()).expect("everybody is ready");
    turns.charge(greedy, TURN);
    assert_ne!(turns.next(all.iter()), Some(greedy));
    let companions = turns.companions();
    assert!([honest, other].iter().all(|owner| companions.contains(owner)));
    assert!(!companions.contains(&greedy), "{companions:?}");
}
