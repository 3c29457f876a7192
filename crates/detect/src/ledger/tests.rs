use bitcoin::hashes::Hash;
use proptest::prelude::*;

use super::*;

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
        timestamp: 1,
        amount_sats: 100_000_000,
        fee_sats: None,
        size: 1,
        address: "sprt1".into(),
        label: None,
        tweak: None,
        historical: false,
    }
}

fn word(change: &Change) -> (&'static str, u32) {
    match &change.event {
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
fn a_reorganisation_reverts_and_reports_again() {
    let mut ledger = Ledger::default();
    ledger.seen(outpoint(1), payment(Some((5, block(b'b')))));
    assert!(ledger.disconnected(block(b'o')).is_empty());
    assert_eq!(
        ledger.disconnected(block(b'b')).iter().map(word).collect::<Vec<_>>(),
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
    let mut ledger = Ledger::of([1, 2].map(|n| (outpoint(n), payment(None))));
    ledger.seen(outpoint(3), payment(Some((7, block(b'b')))));
    let changes = ledger.mempool_is(|t| *t == txid(2));
    assert_eq!(changes.iter().map(|c| c.outpoint).collect::<Vec<_>>(), [outpoint(1)]);
}

#[test]
fn buried_payments_are_forgotten() {
    let mut ledger = Ledger::default();
    ledger.seen(outpoint(1), payment(Some((5, block(5)))));
    ledger.seen(outpoint(2), payment(Some((6, block(6)))));
    let bytes = ledger.bytes();
    assert_eq!(ledger.finalize(5), [outpoint(1)]);
    assert_eq!(ledger.bytes(), bytes / 2);
    assert!(ledger.disconnected(block(5)).is_empty());
    assert_eq!(ledger.disconnected(block(6)).len(), 1);
    assert_eq!(ledger.bytes(), 0);
}

proptest! {
    /// Whatever happens, the events of one payment alternate: nothing is reported twice, and nothing is reverted that
    /// was not reported.
    #[test]
    fn the_story_of_each_payment_makes_sense(steps in proptest::collection::vec((0u8..5, 0u8..3), 0..60)) {
        let mut ledger = Ledger::default();
        let mut reported: BTreeMap<OutPoint, Option<u32>> = BTreeMap::new();
        for (step, n) in steps {
            let changes: Vec<Change> = match step {
                0 => ledger.seen(outpoint(n), payment(None)).into_iter().collect(),
                1 => ledger.seen(outpoint(n), payment(Some((n.into(), block(b'b'))))).into_iter().collect(),
                2 => ledger.left(txid(n), None),
                3 => ledger.disconnected(block(b'b')),
                _ => ledger.mempool_is(|t| *t == txid(n)),
            };
            for change in changes {
                let before = reported.get(&change.outpoint).copied().flatten();
                let now = match word(&change) {
                    ("detected", 0) => { prop_assert_eq!(before, None); Some(0) }
                    ("detected", _) => { prop_assert!(before != Some(1)); Some(1) }
                    (_, confirmations) => { prop_assert_eq!(before, Some(confirmations)); None }
                };
                prop_assert_eq!(ledger.payments.get(&change.outpoint).map(|p| p.confirmations), now);
                reported.insert(change.outpoint, now);
            }
        }
    }
}
