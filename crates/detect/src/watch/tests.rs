use std::time::Instant;

use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use bitcoin::{Amount, BlockHash};
use sdk_relay_bip352::{EligibleTx, OutputTweak, Receiver, ScanKey};
use sdk_relay_chain::BlockRef;
use sdk_relay_index::IndexState;
use sdk_relay_scheduler::Facts;

use super::*;
use crate::commands::WatchOrder;
use crate::history_scan::Found;
use crate::mailbox::{MailboxReceiver, Mailboxes};
use crate::watches::Watches;

const TIP: u32 = 5_000;

fn at(height: u32) -> BlockRef {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&height.to_be_bytes());
    BlockRef {
        height,
        hash: BlockHash::from_byte_array(hash),
    }
}

/// A transaction that spends.
fn spender(n: u8) -> Facts {
    Facts {
        txid: Txid::from_byte_array([n; 32]),
        fee: Some(300),
        size: 100,
    }
}

fn secret() -> SecretKey {
    SecretKey::from_slice(&[7; 32]).unwrap()
}

/// A transaction with this number of outputs to a watch.
fn paid(n: u32, outputs: u32) -> (Row, Vec<Match>) {
    let mut txid = [0; 32];
    txid[..4].copy_from_slice(&n.to_be_bytes());
    let txid = Txid::from_byte_array(txid);
    let facts = Facts {
        txid,
        fee: None,
        size: 100,
    };
    let eligible = EligibleTx {
        txid,
        tweak: secret().public_key(&Secp256k1::new()),
        outputs: Vec::new(),
    };
    let found = |vout| Match {
        vout,
        key: [0; 32],
        amount: Amount::from_sat(1_000),
        k: vout,
        label: None,
        tweak: OutputTweak::from_bytes([1; 32]),
    };
    (Row { eligible, facts }, (0..outputs).map(found).collect())
}

/// A watch with a history of all blocks up to the tip.
fn watch<'a>(watches: &'a mut Watches, all: &Arc<Mailboxes>) -> (&'a mut Watch, MailboxReceiver) {
    let (mailbox, frames) = all.mailbox([192, 0, 2, 1].into());
    let spend = secret().public_key(&Secp256k1::new());
    let order = WatchOrder {
        receiver: Prepared::plain(Receiver::new(ScanKey::from(secret()), spend, []).unwrap()),
        addresses: HashMap::from([(None, "sprt1".to_owned())]),
        mailbox,
        history: None,
        confirm_at: Vec::new(),
    };
    let history = watch_history::requested(Heights { from: 0, to: None });
    let Ok(watch) = watches.add(order, Some(history), 100) else {
        panic!("refused");
    };
    watch.settle(TIP, &index());
    (watch, frames)
}

fn index() -> IndexStatus {
    IndexStatus {
        state: IndexState::Current,
        since: Instant::now(),
        start_height: 0,
        first: 0,
        first_is_known: true,
        tip: Some(at(TIP)),
        target: Some(TIP),
        node_is_syncing: false,
    }
}

/// One transaction is found in the block `height`, which ends a range that begins at `from`.
fn scanned(watch: &Watch, from: u32, height: u32, outputs: u32) -> ScannedRange {
    let (row, matches) = paid(height, outputs);
    let found = Found {
        at: at(height),
        time: 1,
        row,
        matches,
        spends: Vec::new(),
    };
    ScannedRange {
        watch_id: watch.id().to_owned(),
        from,
        through: at(height),
        found: vec![found],
        index_tip: Some(at(TIP)),
        missing: None,
    }
}

/// The events that were sent, without the progress: type, confirmations, the spend in the chain.
fn sent(frames: &mut MailboxReceiver) -> Vec<(&'static str, u32, Option<u32>)> {
    let mut all = Vec::new();
    while let Some(message) = frames.try_next() {
        let WatchMessage::Payment(message) = message else {
            continue;
        };
        let is_detected = matches!(message.notification.event, Event::PaymentDetected(_));
        assert_eq!(message.found.is_some(), is_detected);
        assert!(message.notification.event.watch_id().is_some());
        all.push(match message.notification.event {
            Event::PaymentDetected(p) => ("detected", p.confirmations, p.spent_height),
            Event::PaymentReverted(p) => ("reverted", p.confirmations, p.spent_height),
            Event::PaymentConfirmed(p) => ("confirmed", p.confirmations, p.spent_height),
            Event::PaymentSpent(s) => ("spent", s.confirmations, s.block_height),
            Event::PaymentSpentReverted(s) => ("unspent", s.confirmations, s.block_height),
            other => panic!("{other:?}"),
        });
    }
    all
}

/// A spend of output 0 in the chain; without its transaction, if only the height is known.
fn spent_at(height: u32, is_named: bool) -> Vec<(u32, ChainSpend)> {
    let spend = ChainSpend {
        at: at(height),
        time: 1,
        by: is_named.then(|| (Txid::from_byte_array([9; 32]), None)),
        may_be_named: false,
    };
    vec![(0, spend)]
}

const FINAL: u32 = TIP - KEPT_BLOCKS;

#[test]
fn of_buried_payments_the_outputs_that_are_not_finally_spent_are_kept() {
    let (mut watches, all) = (Watches::default(), Arc::default());
    let (watch, mut frames) = watch(&mut watches, &all);
    let mut from = 0;
    let mut bytes = 0;
    for (height, spends, expected, is_kept) in [
        (10, spent_at(FINAL, true), Some(FINAL), false),
        (11, spent_at(12, false), Some(12), false),
        (12, spent_at(FINAL + 1, true), Some(FINAL + 1), true),
        // What spends it is not known, but it can be reverted.
        (13, spent_at(FINAL + 1, false), Some(FINAL + 1), true),
        (FINAL, Vec::new(), None, true),
        (FINAL + 1, Vec::new(), None, true),
        // Above the tip of detection, which will report it.
        (FINAL + 2, spent_at(TIP + 1, true), None, true),
    ] {
        let mut range = scanned(watch, from, height, 1);
        range.found[0].spends = spends;
        let (_, Reports { payments: news, .. }) = watch.scanned(&range, TIP, None, |_| None);
        let now = watch.ledger.bytes();
        assert_eq!((news, now > bytes), (1, is_kept), "height {height}");
        assert_eq!(sent(&mut frames), [("detected", TIP - height + 1, expected)]);
        (from, bytes) = (height + 1, now);
    }
    // The spend that is not final is reverted with its block.
    watch.disconnected(at(FINAL + 1), TIP, |_| false);
    let reverted = sent(&mut frames);
    assert_eq!(
        reverted,
        [
            ("unspent", 1, Some(FINAL + 1)),
            ("unspent", 1, Some(FINAL + 1)),
            ("reverted", KEPT_BLOCKS, None)
        ]
    );
}

#[test]
fn the_newest_blocks_and_the_mempool_spend_what_a_history_finds() {
    let (mut watches, all) = (Watches::default(), Arc::default());
    let (watch, mut frames) = watch(&mut watches, &all);
    let spend = |block| Spend {
        by: Some(Txid::from_byte_array([8; 32])),
        vin: Some(3),
        block,
        timestamp: 1,
        fee_sats: Some(300),
    };
    let in_block = spend(Some((TIP, at(TIP).hash)));
    watch.scanned(&scanned(watch, 0, 10, 1), TIP, None, |_| Some(in_block.clone()));
    assert_eq!(sent(&mut frames), [("detected", TIP - 9, Some(TIP))]);
    watch.scanned(&scanned(watch, 11, TIP, 1), TIP, None, |_| Some(spend(None)));
    assert_eq!(sent(&mut frames), [("detected", 1, None), ("spent", 0, None)]);
    // Both are spent by the same transaction here, which is mined again.
    watch.disconnected(at(TIP), TIP - 1, |_| false);
    let reverted = sent(&mut frames);
    assert_eq!(
        reverted,
        [("unspent", 1, Some(TIP)), ("unspent", 0, None), ("reverted", 1, None)]
    );
}

/// An answer to this look-up, by an index that has all blocks up to the tip: of its first output, if it is spent.
fn answered(look_up: LookUp, spent_at: Option<(u32, bool)>) -> LookedUp {
    let first = look_up.chunk.outputs[0].1;
    let spend = |(height, is_named): (u32, bool)| {
        let by = is_named.then(|| (Txid::from_byte_array([9; 32]), Some(2)));
        ChainSpend {
            at: at(height),
            time: 1,
            by,
            may_be_named: false,
        }
    };
    LookedUp {
        look_up,
        tip: at(TIP),
        spends: spent_at.map(|spent| (first, spend(spent))).into_iter().collect(),
    }
}

fn progress_is_over(watch: &Watch) -> bool {
    watch.history.is_none()
}

/// The index was behind when the payment was found: blocks between its tip and those that detection keeps may have the
/// spend.
#[test]
fn a_history_ends_when_what_spends_its_payments_is_known() {
    for is_named in [true, false] {
        let (mut watches, all) = (Watches::default(), Arc::default());
        let (watch, mut frames) = watch(&mut watches, &all);
        watch.scanned(&scanned(watch, 0, 10, 1), TIP, Some(TIP - 16), |_| None);
        assert_eq!(watch.look_up(TIP).map(|l| l.chunk), None, "the history is not scanned");
        let mut range = scanned(watch, 11, TIP, 0);
        range.found.clear();
        watch.scanned(&range, TIP, None, |_| None);
        assert!(!progress_is_over(watch));
        let look_up = watch.look_up(TIP).expect("an output");
        assert_eq!(look_up.chunk.through(), TIP - 16);
        watch.looked_up(&answered(look_up, Some((2_000, is_named))), TIP);
        assert!(watch.look_up(TIP).is_none() && progress_is_over(watch));
        assert_eq!(
            sent(&mut frames),
            [("detected", TIP - 9, None), ("spent", 1, Some(2_000))],
            "also if what spends it is not known"
        );
        // The spend is final with the next block.
        watch.finalize(TIP - KEPT_BLOCKS);
        assert_eq!(watch.ledger.bytes(), 0);
    }
}

/// Whichever way a history ends: its last blocks are missing, or disconnected.
#[test]
fn no_end_of_a_history_leaves_out_the_look_up() {
    for is_missing in [true, false] {
        let (mut watches, all) = (Watches::default(), Arc::default());
        let (watch, mut frames) = watch(&mut watches, &all);
        watch.scanned(&scanned(watch, 0, TIP - 1, 1), TIP, Some(TIP), |_| None);
        if is_missing {
            let mut range = scanned(watch, TIP, TIP, 0);
            range.found.clear();
            range.missing = Some(sdk_relay_protocol::MissingReason::Pruned);
            watch.scanned(&range, TIP, None, |_| None);
        } else {
            watch.disconnected(at(TIP), TIP - 1, |_| false);
        }
        assert!(!progress_is_over(watch));
        let look_up = watch.look_up(TIP).expect("an output");
        assert_eq!(look_up.chunk.through(), if is_missing { TIP } else { TIP - 1 });
        watch.looked_up(&answered(look_up, None), TIP);
        assert!(watch.look_up(TIP).is_none() && progress_is_over(watch));
        assert_eq!(sent(&mut frames), [("detected", 2, None)]);
    }
}

/// The relay has not seen the blocks up to the new tip. Of a history that is being scanned, or of none.
#[test]
fn after_a_jump_all_outputs_are_looked_up() {
    for is_scanning in [true, false] {
        let (mut watches, all) = (Watches::default(), Arc::default());
        let (watch, mut frames) = watch(&mut watches, &all);
        watch.scanned(&scanned(watch, 0, 10, 2), TIP, None, |_| None);
        let mut next = 11;
        if !is_scanning {
            let mut range = scanned(watch, 11, TIP, 0);
            range.found.clear();
            watch.scanned(&range, TIP, None, |_| None);
            assert!(progress_is_over(watch));
            next = TIP + 1;
        }
        // In the mempool before the jump, and mined since.
        let outpoint = OutPoint::new(paid(10, 1).0.facts.txid, 0);
        let mut spends = Spends::of_mempool(1);
        spends.add(spender(9), &[(outpoint, 2)]);
        watch.spent_in(&spends);
        assert_eq!(watch.jumped(Some(TIP), TIP + 500, Some(&index())), !is_scanning);
        assert!(watch.look_up(TIP + 500).is_none());
        let mut range = scanned(watch, next, TIP + 500, 0);
        range.found.clear();
        watch.scanned(&range, TIP + 500, None, |_| None);
        let look_up = watch.look_up(TIP + 500).expect("the outputs");
        assert_eq!((look_up.chunk.through(), look_up.chunk.outputs.len()), (TIP + 500, 2));
        watch.looked_up(&answered(look_up, Some((TIP + 3, true))), TIP + 500);
        assert!(watch.look_up(TIP + 500).is_none() && progress_is_over(watch));
        let detected = ("detected", TIP - 9, None);
        assert_eq!(
            sent(&mut frames),
            [detected, detected, ("spent", 0, None), ("spent", 1, Some(TIP + 3))]
        );
    }
}

/// A jump ends before a look-up has its answer: the answer is of another chain, and must not end the next one.
#[test]
fn an_answer_to_an_earlier_look_up_does_not_count() {
    let (mut watches, all) = (Watches::default(), Arc::default());
    let (watch, _frames) = watch(&mut watches, &all);
    watch.history = None;
    let (row, matches) = paid(1, 1);
    let payments = watch.payments(&row, &matches, Place::Block(at(5), 1));
    watch.found(&payments, &Vec::new(), TIP);
    watch.unchecked.extend(TIP);
    let first = watch.look_up(TIP).expect("an output");
    watch.unchecked.restart(TIP + 9);
    assert!(!watch.unchecked.is_next(&first.chunk));
    watch.unchecked.advance(&first.chunk);
    // To a block of the same height, in another chain.
    let same = watch.look_up(TIP + 9).expect("the output again");
    watch.unchecked.restart(TIP + 9);
    assert!(!watch.unchecked.is_next(&same.chunk));
    watch.unchecked.advance(&same.chunk);
    let second = watch.look_up(TIP + 9).expect("the output again");
    assert_eq!(second.chunk.through(), TIP + 9);
    watch.looked_up(&answered(second, None), TIP + 9);
    assert!(watch.look_up(TIP + 9).is_none());
}

/// A wallet with tens of thousands of outputs: detection keeps no list of those to look up, and a look-up is bounded.
#[test]
fn a_look_up_is_bounded_and_each_output_is_looked_up_once() {
    let (mut watches, all) = (Watches::default(), Arc::default());
    let (watch, _frames) = watch(&mut watches, &all);
    watch.history = None;
    for n in 0..10 {
        let (row, matches) = paid(n, 20);
        let payments = watch.payments(&row, &matches, Place::Block(at(5 + n), 1));
        watch.found(&payments, &Vec::new(), TIP);
    }
    watch.unchecked.extend(TIP);
    let mut looked_up = Vec::new();
    while let Some(look_up) = watch.look_up(TIP) {
        assert!(look_up.chunk.outputs.len() <= crate::look_up::LOOKED_UP);
        looked_up.extend(look_up.chunk.outputs.clone());
        watch.looked_up(&answered(look_up, None), TIP);
    }
    assert_eq!(looked_up.len(), 200);
    assert!(looked_up.is_sorted_by(|a, b| a < b));
}

#[test]
fn depths_that_a_payment_of_a_history_has_reached_are_not_reported() {
    let (mut watches, all) = (Watches::default(), Arc::default());
    let (watch, mut frames) = watch(&mut watches, &all);
    watch.confirm_at = [2, 3, 5].into();
    watch.scanned(&scanned(watch, 0, TIP - 2, 1), TIP, None, |_| None);
    watch.deepened(TIP);
    assert_eq!(sent(&mut frames), [("detected", 3, None)]);
    watch.deepened(TIP + 1);
    watch.deepened(TIP + 2);
    // The history is not complete: live notifications wait for it.
    assert!(sent(&mut frames).is_empty());
    watch.scanned(&scanned(watch, TIP - 1, TIP, 1), TIP + 2, None, |_| None);
    assert_eq!(sent(&mut frames), [("detected", 3, None), ("confirmed", 5, None)]);
}

/// Of transactions in one block: the scan for a watch reports the payment after detection has seen its spend.
#[test]
fn a_payment_that_is_found_after_its_spend_is_reported_with_it() {
    let (mut watches, all) = (Watches::default(), Arc::default());
    let (watch, mut frames) = watch(&mut watches, &all);
    watch.history = None;
    watch.confirm_at = [1].into();
    let (row, matches) = paid(1, 2);
    let outpoint = OutPoint::new(row.facts.txid, 1);
    let mut spends = Spends::of_block(at(TIP), 1);
    spends.add(spender(8), &[(outpoint, 4)]);
    watch.spent_in(&spends);
    assert_eq!(sent(&mut frames), [], "it is not known yet");
    let payments = watch.payments(&row, &matches, Place::Block(at(TIP), 1));
    let spent = vec![(outpoint, spends.get(&outpoint).unwrap())];
    assert_eq!(spent[0].1.fee_sats, Some(300));
    assert_eq!(watch.found(&payments, &spent, TIP), 2);
    assert_eq!(
        sent(&mut frames),
        [
            ("detected", 1, None),
            ("confirmed", 1, None),
            ("detected", 1, None),
            ("spent", 1, Some(TIP)),
            ("confirmed", 1, None)
        ]
    );
}

#[test]
fn a_connection_with_too_many_payments_is_given_up_with_the_reason() {
    let (mut watches, all) = (Watches::default(), Arc::default());
    let (watch, mut frames) = watch(&mut watches, &all);
    let mut kept = 0;
    for n in 0..1_000 {
        let (row, matches) = paid(n, 100);
        let payments = watch.payments(&row, &matches, Place::Mempool(1));
        kept += watch.found(&payments, &Vec::new(), TIP);
        // The client reads all that it is sent.
        while frames.try_next().is_some() {}
        if watch.mailbox.is_dead() {
            break;
        }
    }
    assert!((10_000..100_000).contains(&kept), "{kept} payments");
    let reason = frames.why_given_up().unwrap();
    assert!(reason.contains("too many payments"), "{reason}");
    // No state is kept for it, and its history stops.
    let bytes = watch.ledger.bytes();
    assert_eq!(
        watch.scanned(&scanned(watch, 0, TIP, 1), TIP, None, |_| None),
        (NextScan::Done, Reports::default())
    );
    assert_eq!(watch.ledger.bytes(), bytes);
    watches.forget_dead();
    assert_eq!(watches.len(), 0);
}

/// What a look-up of names has found, by an index that has all blocks up to the tip.
fn named(look_up: NameLookUp, spend: Option<ChainSpend>) -> Named {
    let spends = spend.map(|spend| (look_up.outputs[0].1, spend));
    Named {
        look_up,
        tip: at(TIP),
        spends: spends.into_iter().collect(),
    }
}

/// The node was down when the history was scanned. The spend of a block that no reorganisation reaches is kept nowhere
/// else.
#[test]
fn a_spend_without_its_transaction_is_reported_again_with_it() {
    for height in [12, FINAL + 1] {
        let (mut watches, all) = (Watches::default(), Arc::default());
        let (watch, mut frames) = watch(&mut watches, &all);
        let (_, mut spend) = spent_at(height, false)[0];
        spend.may_be_named = true;
        let mut range = scanned(watch, 0, 10, 1);
        range.found[0].spends = vec![(0, spend)];
        let (_, reports) = watch.scanned(&range, TIP, None, |_| None);
        assert_eq!(reports.names, LeftUnnamed { all: 1, given_up: 0 });
        assert_eq!(sent(&mut frames), [("detected", TIP - 9, Some(height))]);
        let look_up = watch.look_up_names().expect("the spend");
        assert!(watch.look_up_names().is_none(), "one at a time");
        // It fails again.
        watch.named(&named(look_up, Some(spend)), TIP);
        assert!(sent(&mut frames).is_empty());
        let look_up = watch.look_up_names().expect("the spend");
        let (_, known) = spent_at(height, true)[0];
        watch.named(&named(look_up, Some(known)), TIP);
        assert_eq!(sent(&mut frames), [("spent", 1, Some(height))]);
        assert!(watch.look_up_names().is_none());
    }
}

#[test]
fn a_spend_is_not_named_that_is_not_the_reported_one() {
    for found in [None, Some((FINAL + 2, true)), Some((FINAL + 1, false))] {
        let (mut watches, all) = (Watches::default(), Arc::default());
        let (watch, mut frames) = watch(&mut watches, &all);
        watch.scanned(&scanned(watch, 0, 10, 1), TIP, Some(TIP), |_| None);
        let mut range = scanned(watch, 11, TIP, 0);
        range.found.clear();
        watch.scanned(&range, TIP, None, |_| None);
        let look_up = watch.look_up(TIP).expect("an output");
        let mut looked_up = answered(look_up, Some((FINAL + 1, false)));
        looked_up
            .spends
            .values_mut()
            .for_each(|spend| spend.may_be_named = true);
        assert_eq!(watch.looked_up(&looked_up, TIP), LeftUnnamed { all: 1, given_up: 0 });
        assert_eq!(
            sent(&mut frames),
            [("detected", TIP - 9, None), ("spent", 1, Some(FINAL + 1))]
        );
        let look_up = watch.look_up_names().expect("the spend");
        // After a reorganisation, or the node has pruned the block meanwhile.
        let spend = found.map(|(height, is_named)| spent_at(height, is_named)[0].1);
        watch.named(&named(look_up, spend), TIP);
        assert!(sent(&mut frames).is_empty(), "{found:?}");
        assert!(watch.look_up_names().is_none(), "{found:?}");
    }
}
