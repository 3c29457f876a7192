use bitcoin::hashes::Hash;
use proptest::prelude::*;

use super::*;

fn txid(n: u8) -> Txid {
    Txid::from_byte_array([n; 32])
}

fn outpoint(n: u8) -> OutPoint {
    OutPoint { txid: txid(n), vout: 0 }
}

fn payment(n: u8, block: Option<(u32, &str)>) -> Arc<Payment> {
    Arc::new(Payment {
        txid: txid(n).to_string(),
        block_height: block.map(|b| b.0),
        block_hash: block.map(|b| b.1.to_owned()),
        amount: "1".into(),
        address: "sprt1".into(),
        confirmations: block.map_or(0, |_| 1),
        timestamp: 1,
        fee: None,
        size: 1,
        vout: 0,
        tweak: None,
        label: None,
        watch_id: None,
        amount_sats: 100_000_000,
        fee_sats: None,
        replaced_by: None,
        historical: false,
    })
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
    assert_eq!(
        word(&ledger.seen(outpoint(1), payment(1, None)).unwrap()),
        ("detected", 0)
    );
    assert!(ledger.seen(outpoint(1), payment(1, None)).is_none());
    assert_eq!(
        word(&ledger.seen(outpoint(1), payment(1, Some((5, "b5")))).unwrap()),
        ("detected", 1)
    );
    assert!(ledger.seen(outpoint(1), payment(1, Some((5, "b5")))).is_none());
    assert!(
        ledger.seen(outpoint(1), payment(1, None)).is_none(),
        "a confirmed one is not in the mempool"
    );
    assert!(
        ledger.left(txid(1), None).is_empty(),
        "a confirmed one does not leave the mempool"
    );
}

#[test]
fn a_reorganisation_takes_back_and_tells_again() {
    let mut ledger = Ledger::default();
    ledger.seen(outpoint(1), payment(1, Some((5, "b5"))));
    assert!(ledger.disconnected("other").is_empty());
    assert_eq!(
        ledger.disconnected("b5").iter().map(word).collect::<Vec<_>>(),
        [("reverted", 1)]
    );
    assert_eq!(
        word(&ledger.seen(outpoint(1), payment(1, None)).unwrap()),
        ("detected", 0)
    );
    assert_eq!(
        word(&ledger.seen(outpoint(1), payment(1, Some((6, "c6")))).unwrap()),
        ("detected", 1)
    );
}

#[test]
fn a_replacement_names_what_replaced() {
    let mut ledger = Ledger::default();
    ledger.seen(outpoint(1), payment(1, None));
    let changes = ledger.left(txid(1), Some(txid(2)));
    let Event::PaymentReverted(reverted) = &changes[0].event else {
        panic!("not reverted")
    };
    assert_eq!(reverted.replaced_by, Some(txid(2).to_string()));
    assert!(ledger.left(txid(1), None).is_empty());
}

#[test]
fn what_the_mempool_lost_while_nobody_looked() {
    let mut ledger = Ledger::of([1, 2].map(|n| (outpoint(n), Payment::clone(&payment(n, None)))));
    ledger.seen(outpoint(3), payment(3, Some((7, "b7"))));
    let changes = ledger.mempool_is(|t| *t == txid(2));
    assert_eq!(changes.iter().map(|c| c.outpoint).collect::<Vec<_>>(), [outpoint(1)]);
}

#[test]
fn buried_payments_are_forgotten() {
    let mut ledger = Ledger::default();
    ledger.seen(outpoint(1), payment(1, Some((5, "b5"))));
    ledger.seen(outpoint(2), payment(2, Some((6, "b6"))));
    assert_eq!(ledger.bury(5), [outpoint(1)]);
    assert!(ledger.disconnected("b5").is_empty());
    assert_eq!(ledger.disconnected("b6").len(), 1);
}

proptest! {
    /// Whatever happens, the events of one payment alternate: nothing is told twice, nothing is taken back that was not told.
    #[test]
    fn the_story_of_each_payment_makes_sense(steps in proptest::collection::vec((0u8..5, 0u8..3), 0..60)) {
        let mut ledger = Ledger::default();
        let mut told: HashMap<OutPoint, Option<u32>> = HashMap::new();
        for (step, n) in steps {
            let changes: Vec<Change> = match step {
                0 => ledger.seen(outpoint(n), payment(n, None)).into_iter().collect(),
                1 => ledger.seen(outpoint(n), payment(n, Some((n.into(), "b")))).into_iter().collect(),
                2 => ledger.left(txid(n), None),
                3 => ledger.disconnected("b"),
                _ => ledger.mempool_is(|t| *t == txid(n)),
            };
            for change in changes {
                let before = told.get(&change.outpoint).copied().flatten();
                let now = match word(&change) {
                    ("detected", 0) => { prop_assert_eq!(before, None); Some(0) }
                    ("detected", _) => { prop_assert!(before != Some(1)); Some(1) }
                    (_, confirmations) => { prop_assert_eq!(before, Some(confirmations)); None }
                };
                prop_assert_eq!(change.kept.as_ref().map(|p| p.confirmations), now);
                told.insert(change.outpoint, now);
            }
        }
    }
}
