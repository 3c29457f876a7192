use bitcoin::hashes::Hash;
use proptest::prelude::*;

use super::*;

mod model;

fn txid(n: u8) -> Txid {
    Txid::from_byte_array([n; 32])
}

fn outpoint(n: u8) -> OutPoint {
    OutPoint { txid: txid(n), vout: 0 }
}

/// A block hash, from one byte.
fn block(name: u8) -> BlockHash {
    BlockHash::from_byte_array([name; 32])
}

fn payment(block: Option<(u32, BlockHash)>) -> KnownPayment {
    KnownPayment {
        block,
        confirmations: block.map_or(0, |_| 1),
        confirmed: 0,
        timestamp: 1,
        amount_sats: 100_000_000,
        fee_sats: None,
        size: 1,
        address: "sprt1".into(),
        label: None,
        key: None,
        tweak: None,
        historical: false,
    }
}

/// A spend by transaction `n`.
fn spend(n: u8, block: Option<(u32, BlockHash)>) -> Spend {
    Spend {
        by: Some(txid(n)),
        vin: Some(0),
        block,
        timestamp: 1,
        fee_sats: Some(300),
    }
}

fn word(change: &Change) -> (&'static str, u32) {
    match &change.event {
        Event::PaymentConfirmed(p) => ("confirmed", p.confirmations),
        Event::PaymentSpent(s) => ("spent", s.confirmations),
        Event::PaymentSpentReverted(s) => ("unspent", s.confirmations),
        Event::PaymentDetected(p) => ("detected", p.confirmations),
        Event::PaymentReverted(p) => ("reverted", p.confirmations),
        other => panic!("{other:?}"),
    }
}

#[test]
fn seen_confirmed_and_again() {
    let mut ledger = Ledger::default();
    assert_eq!(word(&ledger.seen(outpoint(1), payment(None)).unwrap()), ("detected", 0));
    assert!(ledger.seen(outpoint(1), payment(None)).is_none());
    assert_eq!(
        word(&ledger.seen(outpoint(1), payment(Some((5, block(b'b'))))).unwrap()),
        ("detected", 1)
    );
    assert!(ledger.seen(outpoint(1), payment(Some((5, block(b'b'))))).is_none());
    assert!(
        ledger.seen(outpoint(1), payment(None)).is_none(),
        "a confirmed one is not in the mempool"
    );
    assert!(
        ledger.left(txid(1), None).is_empty(),
        "a confirmed one does not leave the mempool"
    );
}

#[test]
fn the_outputs_to_look_up_are_named_in_chain_order_and_each_once() {
    let mut ledger = Ledger::default();
    for n in 1..=9 {
        // The later the payment, the lower its block.
        ledger.seen(outpoint(n), payment(Some((100 - u32::from(n), block(n)))));
    }
    ledger.seen(outpoint(10), payment(None));
    // One is spent in a block; one in the mempool, which a block may have without having been seen.
    ledger.spent(outpoint(9), spend(20, Some((95, block(b'c')))));
    ledger.spent(outpoint(8), spend(21, None));
    ledger.finalize(93);
    let (mut after, mut named) = (None, Vec::new());
    loop {
        let next = ledger.unspent_after(after, 3);
        assert!(next.len() <= 3);
        let Some(last) = next.last() else { break };
        after = Some(*last);
        named.extend(next);
    }
    let expected: Vec<_> = (1..=8).rev().map(|n| (100 - u32::from(n), outpoint(n))).collect();
    assert_eq!(named, expected);
}

/// The node no longer has the block, so that only the index knows that the output is spent.
#[test]
fn a_spend_by_an_unknown_transaction_confirms_the_one_that_was_reported() {
    let mut ledger = Ledger::default();
    ledger.seen(outpoint(1), payment(Some((5, block(b'b')))));
    ledger.spent(outpoint(1), spend(7, None));
    ledger.seen(outpoint(2), payment(Some((5, block(b'b')))));
    let unknown = Spend {
        by: None,
        vin: None,
        fee_sats: None,
        ..spend(0, Some((6, block(b'c'))))
    };
    for (n, by) in [(1, Some(txid(7).to_string())), (2, None)] {
        let changes = ledger.spent(outpoint(n), unknown.clone());
        assert_eq!(changes.iter().map(word).collect::<Vec<_>>(), [("spent", 1)]);
        let Event::PaymentSpent(spent) = &changes[0].event else {
            panic!("a spend")
        };
        assert_eq!((&spent.spent_by, spent.block_height), (&by, Some(6)));
        assert_eq!(
            (spent.vin, spent.fee_sats),
            by.map_or((None, None), |_| (Some(0), Some(300)))
        );
    }
    // It is in a block: that it is not in the mempool any more changes nothing.
    assert!(ledger.left(txid(7), None).is_empty() && ledger.mempool_is(|_| false).is_empty());
    let changes = ledger.disconnected(block(b'c'), |_| false);
    assert_eq!(
        changes.iter().map(word).collect::<Vec<_>>(),
        [("unspent", 1), ("unspent", 1)]
    );
}

/// Thousands of payments of a few satoshis must not push out the others.
#[test]
fn above_the_bound_the_smallest_final_outputs_are_forgotten() {
    let coin = |amount_sats, n: u8| Coin {
        amount_sats,
        height: u32::from(n),
        ..payment(None).to_coin()
    };
    let mut ledger = Ledger::default();
    for n in 0..101 {
        ledger.found(outpoint(n), coin(if n % 2 == 0 { 330 } else { 10_000 }, n));
    }
    // A spend that can be reverted, and a payment that is not final.
    ledger.found_spent(outpoint(0), spend(200, Some((7, block(b'c')))));
    ledger.seen(outpoint(150), payment(Some((5, block(b'b')))));
    assert!(ledger.bound(101).is_empty());
    let forgotten = ledger.bound(100);
    assert_eq!(forgotten, [2, 4, 6, 8, 10, 12].map(outpoint).into());
    assert!(forgotten.iter().all(|outpoint| !ledger.contains(outpoint)));
    assert!([0, 1, 14, 150].iter().all(|n| ledger.contains(&outpoint(*n))));
    assert!(ledger.bound(100).is_empty());
}

#[test]
fn a_reorganisation_reverts_and_reports_again() {
    let mut ledger = Ledger::default();
    ledger.seen(outpoint(1), payment(Some((5, block(b'b')))));
    assert!(ledger.disconnected(block(b'o'), |_| false).is_empty());
    assert_eq!(
        ledger
            .disconnected(block(b'b'), |_| false)
            .iter()
            .map(word)
            .collect::<Vec<_>>(),
        [("reverted", 1)]
    );
    assert_eq!(word(&ledger.seen(outpoint(1), payment(None)).unwrap()), ("detected", 0));
    assert_eq!(
        word(&ledger.seen(outpoint(1), payment(Some((6, block(b'c'))))).unwrap()),
        ("detected", 1)
    );
}

#[test]
fn a_replacement_names_what_replaced() {
    let mut ledger = Ledger::default();
    ledger.seen(outpoint(1), payment(None));
    let changes = ledger.left(txid(1), Some(txid(2)));
    let Event::PaymentReverted(reverted) = &changes[0].event else {
        panic!("not reverted")
    };
    assert_eq!(reverted.replaced_by, Some(txid(2).to_string()));
    assert!(ledger.left(txid(1), None).is_empty());
}

#[test]
fn payments_lost_from_the_mempool_are_reverted_after_a_sync() {
    let known = |n| Output {
        known: Known::Recent(payment(None)),
        spend: Some(spend(n + 10, None)),
    };
    let mut ledger = Ledger::of([1, 2].map(|n| (outpoint(n), known(n))));
    ledger.seen(outpoint(3), payment(Some((7, block(b'b')))));
    let changes = ledger.mempool_is(|t| *t == txid(2) || *t == txid(11));
    let outpoints: Vec<_> = changes.iter().map(|c| (word(c).0, c.outpoint)).collect();
    // The spend of the first is still in the mempool, and goes with its payment.
    assert_eq!(
        outpoints,
        [
            ("unspent", outpoint(2)),
            ("unspent", outpoint(1)),
            ("reverted", outpoint(1))
        ]
    );
}

#[test]
fn the_outputs_of_buried_payments_are_kept_until_their_spends_are_buried() {
    let mut ledger = Ledger::default();
    ledger.seen(outpoint(1), payment(Some((5, block(5)))));
    ledger.seen(outpoint(2), payment(Some((6, block(6)))));
    assert_eq!(ledger.finalize(5), BTreeSet::from([outpoint(1)]));
    assert_eq!(ledger.bytes(), PAYMENT_BYTES + COIN_BYTES);
    assert!(ledger.disconnected(block(5), |_| false).is_empty());
    // Long after.
    assert_eq!(word(&ledger.spent(outpoint(1), spend(9, None))[0]), ("spent", 0));
    assert_eq!(
        word(&ledger.spent(outpoint(1), spend(9, Some((90, block(90)))))[0]),
        ("spent", 1)
    );
    assert_eq!(
        ledger
            .disconnected(block(90), |_| false)
            .iter()
            .map(word)
            .collect::<Vec<_>>(),
        [("unspent", 1)]
    );
    assert_eq!(
        word(&ledger.spent(outpoint(1), spend(9, Some((90, block(91)))))[0]),
        ("spent", 1)
    );
    assert_eq!(ledger.finalize(89), BTreeSet::from([outpoint(2)]));
    assert_eq!(ledger.finalize(90), BTreeSet::from([outpoint(1)]));
    assert_eq!(ledger.bytes(), COIN_BYTES, "the second is not spent");
    assert!(ledger.output(&outpoint(1)).is_none());
}

#[test]
fn a_spend_is_replaced_by_the_transaction_that_confirms() {
    let mut ledger = Ledger::default();
    ledger.seen(outpoint(1), payment(Some((5, block(5)))));
    ledger.spent(outpoint(1), spend(8, None));
    let changes = ledger.spent(outpoint(1), spend(9, Some((6, block(6)))));
    assert_eq!(
        changes.iter().map(word).collect::<Vec<_>>(),
        [("unspent", 0), ("spent", 1)]
    );
    let Event::PaymentSpentReverted(reverted) = &changes[0].event else {
        panic!("not reverted")
    };
    assert_eq!(
        (reverted.spent_by.as_deref(), reverted.replaced_by.as_deref()),
        (Some(&*txid(8).to_string()), Some(&*txid(9).to_string()))
    );
    // The signal of the conflict comes later.
    assert!(ledger.left(txid(8), Some(txid(9))).is_empty());
}

/// A client keeps the newest report of a payment: it must not lose the spend.
#[test]
fn a_depth_of_a_payment_of_a_history_repeats_its_spend() {
    let mut ledger = Ledger::default();
    let historical = KnownPayment {
        historical: true,
        ..payment(Some((5, block(5))))
    };
    ledger.seen(outpoint(1), historical);
    ledger.seen(outpoint(2), payment(Some((5, block(5)))));
    for n in [1, 2] {
        ledger.spent(outpoint(n), spend(9, Some((6, block(6)))));
    }
    let spends: Vec<_> = ledger
        .deepened(7, &[3])
        .into_iter()
        .map(|change| match change.event {
            Event::PaymentConfirmed(payment) => (payment.spent_by, payment.spent_height),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(spends, [(Some(txid(9).to_string()), Some(6)), (None, None)]);
}

#[test]
fn a_depth_is_reached_once_for_each_block_of_a_payment() {
    let mut ledger = Ledger::default();
    let words = |changes: Vec<Change>| changes.iter().map(word).collect::<Vec<_>>();
    let depths = [1, 3, 6];
    ledger.seen(outpoint(1), payment(Some((5, block(5)))));
    assert_eq!(words(ledger.deepened(5, &depths)), [("confirmed", 1)]);
    assert!(ledger.deepened(6, &depths).is_empty());
    assert_eq!(words(ledger.deepened(7, &depths)), [("confirmed", 3)]);
    // A reorganisation above its block.
    assert!(ledger.deepened(6, &depths).is_empty() && ledger.deepened(7, &depths).is_empty());
    // One of its block.
    assert_eq!(words(ledger.disconnected(block(5), |_| false)), [("reverted", 3)]);
    ledger.seen(outpoint(1), payment(Some((5, block(6)))));
    assert_eq!(
        words(ledger.deepened_one(outpoint(1), 10, &depths)),
        [("confirmed", 1), ("confirmed", 3), ("confirmed", 6)]
    );
    assert!(ledger.deepened(4, &depths).is_empty(), "a tip below its block");
}
