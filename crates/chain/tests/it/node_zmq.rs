//! Signals of a real node.

use crate::node::{DEADLINE, anyones, source, spend_anyones};
use bitcoin::{Amount, OutPoint, Transaction};
use sdk_relay_chain::{ChainSource as _, Signal, Signals};
use serde_json::json;
use testkit::{Bitcoind, InputKind, Options, Payer, PooledNode, eventually};
use tokio::time::timeout;

const AMOUNT: Amount = Amount::from_sat(2_000_000);

async fn next(signals: &mut Signals) -> Signal {
    timeout(DEADLINE, signals.recv())
        .await
        .expect("a signal")
        .expect("a receiving task")
}

/// Waits until the node has published all pending messages.
async fn quiet(node: &Bitcoind) {
    let queue = node.rpc().call("syncwithvalidationinterfacequeue", json!([]));
    queue.await.unwrap();
}

/// The next signal that is about the mempool; fails on a loss.
async fn next_of_mempool(signals: &mut Signals) -> Signal {
    loop {
        match next(signals).await {
            Signal::Chain => {}
            Signal::Lost => panic!("signals were lost"),
            signal => return signal,
        }
    }
}

fn entered(signal: Signal) -> (Option<Transaction>, u64) {
    match signal {
        Signal::Entered { txid, tx, sequence } => {
            assert!(tx.as_ref().is_none_or(|tx| tx.compute_txid() == txid));
            (tx.map(|tx| *tx), sequence)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn signals_contain_their_transactions_in_mempool_order() {
    let node = PooledNode::take(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    let source = source(&node);
    quiet(&node).await;
    let mut signals = source.signals().unwrap();
    assert_eq!(
        next(&mut signals).await,
        Signal::Lost,
        "a new connection starts with a comparison"
    );

    let start = source.mempool().await.unwrap().sequence;
    let mut sent = Vec::new();
    for _ in 0..20 {
        let tx = payer.pay(&[InputKind::P2tr], &[(anyones(), AMOUNT)]);
        let txid = node.send_raw(&tx).await;
        let child = spend_anyones(OutPoint { txid, vout: 0 }, AMOUNT);
        node.send_raw(&child).await;
        sent.extend([tx, child]);
    }
    for (place, tx) in sent.iter().enumerate() {
        let (came, sequence) = entered(next(&mut signals).await);
        assert_eq!(came.as_ref(), Some(tx), "transaction {place}");
        assert_eq!(sequence, start + place as u64);
    }

    // The replaced one and its child leave, then the replacement enters.
    let replacement = payer.replace(&sent[38], &[(anyones(), AMOUNT / 2)]);
    node.send_raw(&replacement).await;
    let mut gone = Vec::new();
    for _ in 0..2 {
        match next(&mut signals).await {
            Signal::Left { txid, .. } => gone.push(txid),
            other => panic!("{other:?}"),
        }
    }
    gone.sort();
    let mut expected = vec![sent[38].compute_txid(), sent[39].compute_txid()];
    expected.sort();
    assert_eq!(gone, expected);
    assert_eq!(entered(next(&mut signals).await).0, Some(replacement.clone()));

    // A block brings every of its transactions as `rawtx` again; it is signalled as a block only.
    let block = node.mine(1).await[0];
    assert_eq!(next(&mut signals).await, Signal::Chain);
    let after = payer.pay(&[InputKind::P2wpkh], &[(anyones(), AMOUNT)]);
    node.send_raw(&after).await;
    assert_eq!(entered(next(&mut signals).await).0.as_ref(), Some(&after));

    // Disconnected, its transactions return to the mempool.
    node.invalidate(block).await;
    let mut back = 0;
    while back < 39 {
        if let Signal::Entered { .. } = next_of_mempool(&mut signals).await {
            back += 1;
        }
    }
}

#[tokio::test]
async fn a_restarted_node_signals_again_after_a_loss() {
    // Of its own: it is restarted.
    let mut node = Bitcoind::start(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    let source = source(&node);
    quiet(&node).await;
    let mut signals = source.signals().unwrap();
    assert_eq!(next(&mut signals).await, Signal::Lost);
    for kill in [false, true] {
        if kill {
            node.kill();
        } else {
            node.stop().await;
        }
        node.start_again().await;
        // A killed node connects blocks again that it had not flushed, and may signal that.
        while next(&mut signals).await != Signal::Lost {}
        let tx = payer.pay(&[InputKind::P2wpkh], &[(anyones(), AMOUNT)]);
        node.send_raw(&tx).await;
        assert_eq!(entered(next_of_mempool(&mut signals).await).0, Some(tx));
    }
}

#[tokio::test]
async fn a_node_that_starts_later_and_publishes_no_rawtx() {
    // Of its own: it is restarted.
    let mut node = Bitcoind::start(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    node.stop().await;
    let source = source(&node);
    let mut signals = source.signals().unwrap();
    let args = vec![format!("-zmqpubsequence={}", node.zmq_url())];
    node.start_again_with(Options {
        zmq: false,
        args,
        ..Options::default()
    })
    .await;
    assert_eq!(next(&mut signals).await, Signal::Lost);
    let tx = payer.pay(&[InputKind::P2wpkh], &[(anyones(), AMOUNT)]);
    let txid = node.send_raw(&tx).await;
    assert!(matches!(next(&mut signals).await, Signal::Entered { txid: t, tx: None, .. } if t == txid));
    node.mine(1).await;
    assert_eq!(next(&mut signals).await, Signal::Chain);
}

#[tokio::test]
async fn the_receiving_task_ends_with_its_receiver() {
    let node = PooledNode::take(Options::default()).await;
    let source = source(&node);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    // The connection of the client keeps a task for a while.
    source.tip().await.unwrap();
    let before = tasks();
    let mut signals = source.signals().unwrap();
    // The node may still signal its first block before that.
    while next(&mut signals).await != Signal::Lost {}
    assert!(tasks() > before);
    drop(signals);
    let ended = async || (tasks() <= before).then_some(());
    eventually(DEADLINE, "the end of the tasks", ended).await;

    // And while there is no publisher.
    let config = sdk_relay_chain::node::NodeConfig {
        rpc_url: node.rpc_url(),
        auth: sdk_relay_chain::rpc::Auth::None,
        zmq: sdk_relay_chain::node::ZmqAddress::At("tcp://127.0.0.1:1".to_owned()),
        proxy: None,
    };
    let before = tasks();
    let signals = sdk_relay_chain::node::NodeSource::new(config)
        .unwrap()
        .signals()
        .unwrap();
    assert_eq!(tasks(), before + 1);
    drop(signals);
    eventually(DEADLINE, "the end of the task", async || {
        (tasks() <= before).then_some(())
    })
    .await;
}
