//! Mempool look-ups, broadcasts and information of a real node.

use crate::node::{anyones, logged, source, spend_anyones};
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Transaction, TxOut, Txid, hashes::Hash as _};
use sdk_relay_chain::{BroadcastError, ChainSource as _, ConfirmedTx, FeeRates, PackageError};
use testkit::{Bitcoind, InputKind, Options, Payer, PooledNode};

const AMOUNT: Amount = Amount::from_sat(2_000_000);

/// Number of HTTP requests to the node so far.
fn requests(node: &Bitcoind) -> usize {
    logged(node, "Received a POST request")
}

async fn node_and_payer() -> (PooledNode, Payer) {
    let node = PooledNode::take(Options {
        args: vec!["-debug=http".to_owned()],
        ..Options::default()
    })
    .await;
    let payer = Payer::funded(&node).await;
    (node, payer)
}

/// Sends `length` transactions, each of which spends the one before.
async fn chain(node: &Bitcoind, payer: &mut Payer, length: usize) -> Vec<Transaction> {
    let mut txs = vec![payer.pay(&InputKind::ALL, &[(anyones(), AMOUNT)])];
    node.send_raw(&txs[0]).await;
    while txs.len() < length {
        let last = txs.last().unwrap();
        let child = spend_anyones(
            OutPoint {
                txid: last.compute_txid(),
                vout: 0,
            },
            last.output[0].value,
        );
        node.send_raw(&child).await;
        txs.push(child);
    }
    txs
}

/// What the inputs of `tx` spend, from the transactions themselves or from the node one by one.
async fn prevouts(node: &Bitcoind, tx: &Transaction, others: &[Transaction]) -> Vec<TxOut> {
    let mut prevouts = Vec::new();
    for input in &tx.input {
        let outpoint = input.previous_output;
        let parent = others.iter().find(|other| other.compute_txid() == outpoint.txid);
        prevouts.push(match parent {
            Some(parent) => parent.output[outpoint.vout as usize].clone(),
            None => node.txout(outpoint).await.unwrap(),
        });
    }
    prevouts
}

#[tokio::test]
async fn a_single_signalled_transaction_costs_one_request() {
    let (node, mut payer) = node_and_payer().await;
    let source = source(&node);
    let txs = chain(&node, &mut payer, 2).await;
    // The first spends four confirmed coins, the second an output that is in the mempool alone.
    for tx in &txs {
        let expected = prevouts(&node, tx, &txs).await;
        let before = requests(&node);
        let found = source
            .transactions(&[tx.compute_txid()], vec![tx.clone()])
            .await
            .unwrap();
        assert_eq!(requests(&node) - before, 1);
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].tx, &found[0].prevouts), (tx, &expected));
        assert_eq!(found[0].txid, tx.compute_txid());
        assert!(found[0].fee() >= Amount::from_sat(1_000));
    }
}

#[tokio::test]
async fn a_chain_in_the_mempool_is_complete_in_any_order() {
    let (node, mut payer) = node_and_payer().await;
    let source = source(&node);
    let txs = chain(&node, &mut payer, 5).await;
    let txids: Vec<Txid> = txs.iter().map(Transaction::compute_txid).collect();
    let snapshot = source.mempool().await.unwrap();
    assert_eq!(snapshot.txids.len(), 5);
    assert!(txids.iter().all(|txid| snapshot.txids.contains(txid)));
    assert!(snapshot.sequence >= 5);

    let mut backwards = txids.clone();
    backwards.reverse();
    for wanted in [&txids[..], &backwards, &txids[2..3], &txids[4..]] {
        let found = source.transactions(wanted, vec![]).await.unwrap();
        assert_eq!(found.iter().map(|tx| tx.txid).collect::<Vec<_>>(), wanted);
        for found in found {
            let tx = txs.iter().find(|tx| tx.compute_txid() == found.txid).unwrap();
            assert_eq!((&found.tx, &found.prevouts), (tx, &prevouts(&node, tx, &txs).await));
        }
    }

    let spent: Vec<OutPoint> = txs.iter().map(|tx| tx.input[0].previous_output).collect();
    let unspent = OutPoint {
        txid: txids[4],
        vout: 0,
    };
    let spenders = source.spenders(&[&spent[..], &[unspent]].concat()).await.unwrap();
    assert_eq!(spenders[..5], txids.iter().copied().map(Some).collect::<Vec<_>>());
    assert_eq!(spenders[5], None);
}

#[tokio::test]
async fn many_at_once() {
    let (node, mut payer) = node_and_payer().await;
    let source = source(&node);
    payer.split(&node, InputKind::P2wpkh, 300, AMOUNT * 2).await;
    let mut txs = Vec::new();
    for _ in 0..300 {
        let tx = payer.pay(&[InputKind::P2wpkh], &[(anyones(), Amount::from_sat(1_000_000))]);
        let child = spend_anyones(
            OutPoint {
                txid: tx.compute_txid(),
                vout: 0,
            },
            tx.output[0].value,
        );
        node.send_raw(&tx).await;
        node.send_raw(&child).await;
        txs.extend([tx, child]);
    }
    let wanted: Vec<Txid> = txs.iter().map(Transaction::compute_txid).collect();
    let before = requests(&node);
    let found = source.transactions(&wanted, vec![]).await.unwrap();
    assert_eq!(found.len(), 600);
    assert!(
        requests(&node) - before <= 6,
        "{} requests for 600 transactions",
        requests(&node) - before
    );

    // The children alone: their parents are in the mempool, and were not requested.
    let children: Vec<Txid> = wanted.iter().skip(1).step_by(2).copied().collect();
    assert_eq!(source.transactions(&children, vec![]).await.unwrap().len(), 300);
}

#[tokio::test]
async fn removed_transactions_are_omitted() {
    let (node, mut payer) = node_and_payer().await;
    let source = source(&node);
    let mined = payer.pay(&[InputKind::P2tr], &[(anyones(), AMOUNT)]);
    node.send_raw(&mined).await;
    node.mine(1).await;
    let replaced = payer.pay(&[InputKind::P2tr], &[(anyones(), AMOUNT)]);
    node.send_raw(&replaced).await;
    let child = spend_anyones(
        OutPoint {
            txid: replaced.compute_txid(),
            vout: 0,
        },
        AMOUNT,
    );
    node.send_raw(&child).await;
    let replacement = payer.replace(&replaced, &[(anyones(), AMOUNT / 2)]);
    node.send_raw(&replacement).await;

    let never = Txid::from_byte_array([9; 32]);
    let here = replacement.compute_txid();
    let wanted = [
        mined.compute_txid(),
        never,
        replaced.compute_txid(),
        here,
        child.compute_txid(),
    ];
    // `child` is known, but its prevout is gone.
    let found = source.transactions(&wanted, vec![child]).await.unwrap();
    assert_eq!(found.iter().map(|tx| tx.txid).collect::<Vec<_>>(), [here]);
    assert!(source.transactions(&[], vec![]).await.unwrap().is_empty());
}

#[tokio::test]
async fn broadcasts_are_accepted_or_refused_with_the_reason_of_the_node() {
    let (node, mut payer) = node_and_payer().await;
    let source = source(&node);
    let tx = payer.pay(&[InputKind::P2wpkh], &[(anyones(), AMOUNT)]);
    assert_eq!(source.broadcast(&tx).await.unwrap(), tx.compute_txid());
    assert_eq!(node.mempool().await, [tx.compute_txid()]);

    let orphan = spend_anyones(
        OutPoint {
            txid: Txid::from_byte_array([9; 32]),
            vout: 0,
        },
        AMOUNT,
    );
    let mut unsigned = payer.pay(&[InputKind::P2wpkh], &[(anyones(), AMOUNT)]);
    unsigned.input[0].witness.clear();
    unsigned.input[0].script_sig = ScriptBuf::from_bytes(vec![1, 1]);
    for (tx, reason) in [(orphan, "missingorspent"), (unsigned, "")] {
        match source.broadcast(&tx).await {
            Err(BroadcastError::Rejected(words)) => assert!(!words.is_empty() && words.contains(reason), "{words}"),
            other => panic!("{other:?}"),
        }
    }

    let info = source.info().await.unwrap();
    assert_eq!(info.blockchain["chain"], "regtest");
    assert!(info.network["subversion"].is_string());
    assert_eq!(info.mempool["size"], 1);
}

#[tokio::test]
async fn fee_rates_are_those_of_the_node() {
    let node = PooledNode::take(Options {
        args: vec![
            "-minrelaytxfee=0.00002345".to_owned(),
            "-incrementalrelayfee=0.00000500".to_owned(),
        ],
        ..Options::default()
    })
    .await;
    let rates = source(&node).fee_rates(&[1, 1008]).await.unwrap();
    // On regtest nothing has been observed.
    let expected = FeeRates {
        estimates: vec![(1, None), (1008, None)],
        mempool_minimum: 2_345,
        relay_minimum: 2_345,
    };
    assert_eq!(rates, expected);
    // The node estimates up to 1,008 blocks.
    let error = source(&node).fee_rates(&[1009]).await.unwrap_err().to_string();
    assert!(error.contains("estimatesmartfee"), "{error}");
}

#[tokio::test]
async fn a_package_is_accepted_or_refused_with_the_reasons() {
    let (node, mut payer) = node_and_payer().await;
    let source = source(&node);
    let coin = payer.pay(&[InputKind::P2wpkh], &[(anyones(), AMOUNT)]);
    node.send_raw(&coin).await;
    node.mine(1).await;
    let first = |tx: &Transaction| OutPoint::new(tx.compute_txid(), 0);
    let mut parent = spend_anyones(first(&coin), AMOUNT);
    // The node requires the least rate that it relays of each; the package is for a mempool that is full.
    let value = AMOUNT - Amount::from_sat(200);
    parent.output[0].value = value;
    let child = spend_anyones(first(&parent), value);
    let mut free_child = child.clone();
    free_child.output[0].value = value;

    for (package, reason) in [
        (vec![parent.clone(), free_child], "fee"),
        (vec![child.clone(), parent.clone()], "topology"),
        (vec![parent.clone(), parent.clone()], "package"),
    ] {
        match source.broadcast_package(&package).await {
            Err(error @ PackageError::Rejected { .. }) => {
                let shown = format!("{error:?}");
                assert!(shown.contains(reason) && error.to_string() != "", "{shown}");
            }
            other => panic!("{reason}: {other:?}"),
        }
    }
    let accepted = source
        .broadcast_package(&[parent.clone(), child.clone()])
        .await
        .unwrap();
    assert_eq!(accepted.replaced, []);
    let mempool = source.mempool().await.unwrap().txids;
    assert!(mempool.contains(&parent.compute_txid()) && mempool.contains(&child.compute_txid()));

    // Another child, with a higher fee: it replaces.
    let mut better = child.clone();
    better.output[0].value -= Amount::from_sat(20_000);
    let accepted = source.broadcast_package(&[parent, better]).await.unwrap();
    assert_eq!(accepted.replaced, [child.compute_txid()]);
}

#[tokio::test]
async fn a_confirmed_transaction_is_found_by_its_block_or_by_an_unspent_output() {
    let (node, mut payer) = node_and_payer().await;
    let source = source(&node);
    let coin = payer.pay(&[InputKind::P2wpkh], &[(anyones(), AMOUNT)]);
    let txid = coin.compute_txid();
    node.send_raw(&coin).await;
    assert!(source.confirmed(txid, None).await.unwrap().is_none(), "in the mempool");
    let block = node.mine(1).await[0];
    let height = node.height().await;
    let is_found = |found: Option<ConfirmedTx>, confirmations| {
        let found = found.unwrap();
        assert_eq!((found.tx.compute_txid(), found.confirmations), (txid, confirmations));
        assert_eq!((found.block.height, found.block.hash), (height, block));
        assert!(found.fee.unwrap() > Amount::ZERO);
    };
    is_found(source.confirmed(txid, None).await.unwrap(), 1);
    is_found(source.confirmed(txid, Some(block)).await.unwrap(), 1);

    // The output that only this test can spend is spent; the payer's change is not.
    let vout = coin
        .output
        .iter()
        .position(|output| output.script_pubkey == anyones())
        .unwrap();
    let spend = spend_anyones(OutPoint::new(txid, vout as u32), AMOUNT);
    node.send_raw(&spend).await;
    node.mine(2).await;
    is_found(source.confirmed(txid, Some(block)).await.unwrap(), 3);
    let other = node.tip().await;
    assert!(source.confirmed(txid, Some(other)).await.unwrap().is_none());
    let unknown = BlockHash::from_byte_array([7; 32]);
    assert!(source.confirmed(txid, Some(unknown)).await.unwrap().is_none());

    // Its block leaves the chain.
    node.invalidate(block).await;
    assert!(source.confirmed(txid, Some(block)).await.unwrap().is_none());
}
