use std::time::Instant;

use bitcoin::Amount;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Secp256k1, SecretKey};
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
    };
    ScannedRange {
        watch_id: watch.id().to_owned(),
        from,
        through: at(height),
        found: vec![found],
        missing: None,
    }
}

#[test]
fn buried_payments_are_sent_and_not_kept() {
    let (mut watches, all) = (Watches::default(), Arc::default());
    let (watch, mut frames) = watch(&mut watches, &all);
    let finalized = TIP - KEPT_BLOCKS;
    for (from, height, is_kept) in [
        (0, 10, false),
        (11, finalized, false),
        (finalized + 1, finalized + 1, true),
    ] {
        let (_, news) = watch.scanned(&scanned(watch, from, height, 3), TIP);
        assert_eq!((news, watch.ledger.bytes() > 0), (3, is_kept), "height {height}");
    }
    assert_eq!(
        std::iter::from_fn(|| frames.try_next()).count(),
        9 + 2,
        "three times three, and the progress twice"
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
        kept += watch.found(&payments);
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
    assert_eq!(watch.scanned(&scanned(watch, 0, TIP, 1), TIP), (NextScan::Done, 0));
    assert_eq!(watch.ledger.bytes(), bytes);
    watches.forget_dead();
    assert_eq!(watches.len(), 0);
}
