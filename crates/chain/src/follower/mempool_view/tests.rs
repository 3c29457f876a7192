use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::transaction::Version;
use bitcoin::{Amount, CompactTarget, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode, TxOut, Witness, block};

use super::*;

fn outpoint(tag: u8) -> OutPoint {
    OutPoint {
        txid: Txid::from_byte_array([tag; 32]),
        vout: 0,
    }
}

fn spending(outpoints: &[OutPoint], value: u64) -> MempoolTx {
    let input = |outpoint: &OutPoint| TxIn {
        previous_output: *outpoint,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::new(),
    };
    let tx = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: outpoints.iter().map(input).collect(),
        output: vec![TxOut {
            value: Amount::from_sat(value),
            script_pubkey: ScriptBuf::new(),
        }],
    };
    MempoolTx {
        txid: tx.compute_txid(),
        tx,
        prevouts: Vec::new(),
    }
}

fn block(txs: &[&MempoolTx]) -> (BlockHash, Block) {
    let header = block::Header {
        version: block::Version::TWO,
        prev_blockhash: BlockHash::all_zeros(),
        merkle_root: TxMerkleNode::all_zeros(),
        time: 0,
        bits: CompactTarget::from_consensus(0),
        nonce: 0,
    };
    (
        header.block_hash(),
        Block {
            header,
            txdata: txs.iter().map(|tx| tx.tx.clone()).collect(),
        },
    )
}

#[test]
fn a_batch_is_emitted_parents_first() {
    let grandparent = spending(&[outpoint(1)], 30);
    let parent = spending(
        &[OutPoint {
            txid: grandparent.txid,
            vout: 0,
        }],
        20,
    );
    let child = spending(
        &[
            OutPoint {
                txid: parent.txid,
                vout: 0,
            },
            OutPoint {
                txid: grandparent.txid,
                vout: 0,
            },
        ],
        10,
    );
    let expected = [grandparent.txid, parent.txid, child.txid];
    let entered = MempoolView::default().enter(vec![child, grandparent, parent]);
    assert_eq!(entered.iter().map(|tx| tx.txid).collect::<Vec<_>>(), expected);
}

#[test]
fn a_known_transaction_does_not_enter_twice() {
    let mut view = MempoolView::default();
    let tx = spending(&[outpoint(1)], 10);
    assert_eq!(view.enter(vec![tx.clone()]).len(), 1);
    assert!(view.enter(vec![tx.clone()]).is_empty());
    assert!(view.leave(&tx.txid) && !view.leave(&tx.txid));
    assert_eq!(view.enter(vec![tx]).len(), 1);
}

#[test]
fn a_block_takes_its_transactions_and_replaces_double_spends() {
    let mut view = MempoolView::default();
    let (mined, bystander) = (spending(&[outpoint(1)], 10), spending(&[outpoint(2)], 10));
    let (loser, winner) = (spending(&[outpoint(3), outpoint(4)], 10), spending(&[outpoint(4)], 9));
    view.enter(vec![mined.clone(), bystander.clone(), loser.clone()]);
    let (hash, block) = block(&[&mined, &winner]);
    assert_eq!(view.mine(hash, &block), [(loser.txid, winner.txid)]);
    assert!(!view.contains(&mined.txid) && view.contains(&bystander.txid) && !view.contains(&loser.txid));
}

#[test]
fn a_mined_transaction_does_not_enter_until_its_block_is_disconnected() {
    let mut view = MempoolView::default();
    let tx = spending(&[outpoint(1)], 10);
    let (hash, block) = block(&[&tx]);
    view.mine(hash, &block);
    assert!(view.enter(vec![tx.clone()]).is_empty());
    view.unmine(hash);
    assert_eq!(view.enter(vec![tx]).len(), 1);
}

#[test]
fn a_snapshot_gives_missing_and_new_transactions_and_covered_signals() {
    let mut view = MempoolView::default();
    let (stays, goes, comes) = (
        spending(&[outpoint(1)], 1),
        spending(&[outpoint(2)], 1),
        spending(&[outpoint(3)], 1),
    );
    view.enter(vec![stays.clone(), goes.clone()]);
    let diff = view.compare(MempoolSnapshot {
        txids: vec![comes.txid, stays.txid],
        sequence: 7,
    });
    assert_eq!(
        diff,
        Diff {
            missing: vec![goes.txid],
            new: vec![comes.txid]
        }
    );
    assert!(!view.is_newer(6) && view.is_newer(7) && view.is_newer(8));
}
