use proptest::prelude::*;

use super::*;
use crate::{Event, Notification, ServerMessage};

/// A block of transactions with so many outputs each, worth `sats`.
fn block(outputs: &[usize], sats: u64) -> Tweaks {
    let output = |vout: usize| TweakOutput {
        vout: u32::try_from(vout).unwrap(),
        public_key: "7c".repeat(32),
        amount_sats: sats,
    };
    let tx = |(n, outputs): (usize, &usize)| TweakTx {
        txid: format!("{n:064x}"),
        tweak: format!("02{n:064x}"),
        outputs: (0..*outputs).map(output).collect(),
        continues: false,
    };
    Tweaks {
        block_height: u32::MAX,
        block_hash: "5".repeat(64),
        transactions: outputs.iter().enumerate().map(tx).collect(),
        part: 1,
        parts: 1,
        historical: true,
    }
}

/// The longest message that a part can be.
fn bytes(part: &Tweaks) -> usize {
    let message = ServerMessage::Notification(Notification {
        event: Event::Tweaks(part.clone()),
        timestamp: u64::MAX,
        event_id: Some(u64::MAX),
        watch_seq: None,
    });
    crate::encode(&message).unwrap().len()
}

fn merged(parts: Vec<Tweaks>) -> Tweaks {
    let mut parts = parts.into_iter();
    let mut whole = parts.next().unwrap();
    parts.for_each(|part| whole.append(part));
    whole.parts = 1;
    whole
}

/// Numbers, sizes, and that together they are the block.
fn check(block: Tweaks, parts: Vec<Tweaks>, most: usize) {
    for (n, part) in (1..).zip(&parts) {
        assert_eq!((part.part, part.parts as usize), (n, parts.len()));
        assert!(bytes(part) <= most, "part {n} has {} bytes", bytes(part));
        let (last, others) = part.transactions.split_last().unwrap();
        assert!(others.iter().all(|tx| !tx.continues), "only the last of a part goes on");
        let next = parts.get(n as usize).map(|next| &next.transactions[0].txid);
        assert_eq!(last.continues, next == Some(&last.txid));
        assert!(part.transactions.iter().all(|tx| !tx.outputs.is_empty()));
    }
    assert_eq!(merged(parts), block);
}

#[test]
fn an_ordinary_block_is_one_message() {
    for outputs in [&[][..], &[1], &[2; 1000]] {
        let block = block(outputs, 100_000);
        assert_eq!(block.clone().into_parts(), [block]);
    }
}

#[test]
fn no_part_of_a_block_is_longer_than_a_message_may_be() {
    // One transaction with all outputs that a block has room for; the most small ones; the worst amounts.
    const MOST_SATS: u64 = 2_100_000_000_000_000;
    for (outputs, sats) in [
        (&[10_000][..], 546),
        (&[23_000], MOST_SATS),
        (&[1; 10_000], MOST_SATS),
        (&[1; 3_200], 546),
        (&[5_000, 1, 5_000, 1], 1),
    ] {
        let block = block(outputs, sats);
        let parts = block.clone().into_parts();
        assert!(parts.len() > 1);
        let ideal = bytes(&block).div_ceil(LARGEST_MESSAGE - ENVELOPE);
        assert!(parts.len() <= ideal + 1, "{} parts, {ideal} would do", parts.len());
        check(block, parts, LARGEST_MESSAGE);
    }
}

proptest! {
    #[test]
    fn any_block_comes_together_again(
        outputs in proptest::collection::vec(1usize..40, 1..20), most in 500usize..5000, sats in 0u64..100_000_000,
    ) {
        let block = block(&outputs, sats);
        check(block.clone(), block.split(most), most + ENVELOPE);
    }
}

#[test]
fn a_block_that_was_logged_before_there_were_parts_is_whole() {
    let old = r#"{"block_height":1,"block_hash":"aa","transactions":[{"txid":"bb","tweak":"02","outputs":[]}]}"#;
    let read: Tweaks = serde_json::from_str(old).unwrap();
    assert_eq!((read.part, read.parts, read.transactions[0].continues), (1, 1, false));
}
