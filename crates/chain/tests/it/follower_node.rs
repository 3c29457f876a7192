//! The follower on a real node.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::node::{DEADLINE, anyones, source_with};
use bitcoin::{Amount, Transaction, Txid};
use sdk_relay_chain::follower::{FollowState, Follower, FollowerOptions, Start};
use sdk_relay_chain::node::{NodeConfig, NodeSource, ZmqAddress};
use sdk_relay_chain::rpc::Auth;
use sdk_relay_chain::{BlockRef, ChainEvent, ChainSource as _, EventSource, LeaveReason, Observed};
use testkit::{Bitcoind, InputKind, Options, Payer, PooledNode};
use tokio::sync::mpsc;
use tokio::time::timeout;

const AMOUNT: Amount = Amount::from_sat(1_000_000);

/// A consumer whose state is built from the events only.
struct Consumer {
    follower: Follower,
    events: mpsc::Receiver<Observed>,
    recent: Vec<BlockRef>,
    mempool: HashSet<Txid>,
    connected: Vec<Txid>,
    disconnected: u32,
    jumps: u32,
    left: Vec<(Txid, LeaveReason)>,
}

impl Consumer {
    fn start(source: NodeSource, recent: Vec<BlockRef>) -> Self {
        let start = Start { recent: recent.clone() };
        let (follower, events) = Follower::spawn(Arc::new(source), start, FollowerOptions::default());
        Self {
            follower,
            events,
            recent,
            mempool: HashSet::new(),
            connected: Vec::new(),
            disconnected: 0,
            jumps: 0,
            left: Vec::new(),
        }
    }

    async fn next(&mut self) -> ChainEvent {
        let event = timeout(DEADLINE, self.events.recv())
            .await
            .expect("an event in time")
            .expect("the stream continues")
            .event;
        match &event {
            ChainEvent::BlockConnected { at, block } => {
                let tip = self.recent.last().expect("a jump comes first");
                assert_eq!(
                    (at.height, block.block.header.prev_blockhash),
                    (tip.height + 1, tip.hash)
                );
                self.recent.push(*at);
                for tx in &block.block.txdata {
                    self.mempool.remove(&tx.compute_txid());
                    self.connected.push(tx.compute_txid());
                }
            }
            ChainEvent::BlockDisconnected { at, parent } => {
                assert_eq!(self.recent.pop(), Some(*at));
                if self.recent.is_empty() {
                    self.recent.push(*parent);
                }
                assert_eq!(self.recent.last(), Some(parent));
                self.disconnected += 1;
            }
            ChainEvent::Jumped { at } => {
                self.recent = vec![*at];
                self.jumps += 1;
            }
            ChainEvent::TxsEntered(txs) => {
                for tx in txs {
                    assert_eq!(tx.prevouts.len(), tx.tx.input.len());
                    assert!(self.mempool.insert(tx.txid), "entered twice");
                }
            }
            ChainEvent::TxLeft { txid, reason } => {
                assert!(self.mempool.remove(txid), "left without having entered");
                self.left.push((*txid, *reason));
            }
            ChainEvent::MempoolSynced => {}
        }
        event
    }

    /// The next event other than `MempoolSynced`.
    async fn next_change(&mut self) -> ChainEvent {
        loop {
            match self.next().await {
                ChainEvent::MempoolSynced => {}
                event => return event,
            }
        }
    }

    /// Takes events until the state equals the chain and the mempool of the node.
    async fn settle(&mut self, node: &Bitcoind) {
        let (tip, height) = (node.tip().await, node.height().await);
        let mempool: HashSet<_> = node.mempool().await.into_iter().collect();
        let target = BlockRef { height, hash: tip };
        while self.recent.last() != Some(&target) || self.mempool != mempool {
            self.next().await;
        }
    }

    /// Settles, and waits until the signals of the node are received, so that later changes are not found by polling.
    async fn settle_on_signals(&mut self, node: &Bitcoind) {
        self.settle(node).await;
        let mut status = self.follower.status();
        let signalled = timeout(DEADLINE, status.wait_for(|status| status.signalled)).await;
        drop(signalled.expect("signals in time").unwrap());
    }

    async fn until(&self, state: impl Fn(&FollowState) -> bool) {
        let mut status = self.follower.status();
        let reached = timeout(DEADLINE, status.wait_for(|status| state(&status.state))).await;
        drop(reached.expect("the state in time").unwrap());
    }
}

fn source(node: &Bitcoind) -> NodeSource {
    crate::node::source(node)
}

fn source_without_zmq(node: &Bitcoind) -> NodeSource {
    let auth = Auth::CookieFile(node.cookie_file());
    NodeSource::new(NodeConfig {
        rpc_url: node.rpc_url(),
        auth,
        zmq: ZmqAddress::Off,
        proxy: None,
    })
    .unwrap()
}

async fn pay(node: &Bitcoind, payer: &mut Payer) -> Transaction {
    let tx = payer.pay(&[InputKind::P2wpkh], &[(anyones(), AMOUNT)]);
    node.send_raw(&tx).await;
    tx
}

/// A node, a payer, and a consumer that receives the signals of the node.
async fn following() -> (PooledNode, Payer, Consumer) {
    let node = PooledNode::take(Options::default()).await;
    let (payer, consumer) = following_on(&node).await;
    (node, payer, consumer)
}

async fn following_on(node: &Bitcoind) -> (Payer, Consumer) {
    let payer = Payer::funded(node).await;
    let mut consumer = Consumer::start(source(node), Vec::new());
    consumer.settle_on_signals(node).await;
    assert_eq!(consumer.jumps, 1);
    (payer, consumer)
}

#[tokio::test]
async fn payments_and_blocks_are_emitted_as_they_happen() {
    let (node, mut payer, mut consumer) = following().await;
    for _ in 0..3 {
        let txid = pay(&node, &mut payer).await.compute_txid();
        let ChainEvent::TxsEntered(txs) = consumer.next_change().await else {
            panic!("not the payment")
        };
        assert_eq!((txs.len(), txs[0].txid), (1, txid));
        node.mine(1).await;
        let ChainEvent::BlockConnected { block, .. } = consumer.next_change().await else {
            panic!("not its block")
        };
        assert_eq!(block.block.txdata[1].compute_txid(), txid);
        assert_eq!(block.prevouts[1].len(), 1);
    }
    consumer.settle(&node).await;
    assert!(consumer.left.is_empty() && consumer.disconnected == 0);
}

#[tokio::test]
async fn reorganisations_are_emitted_block_by_block() {
    let (node, mut payer, mut consumer) = following().await;
    for depth in [1, 6] {
        let first = node.height().await + 1;
        let mut paid = Vec::new();
        for _ in 0..depth {
            paid.push(pay(&node, &mut payer).await.compute_txid());
            node.mine(1).await;
        }
        consumer.settle(&node).await;
        (consumer.disconnected, consumer.connected) = (0, Vec::new());

        node.invalidate(node.hash_at(first).await).await;
        consumer.settle(&node).await;
        assert_eq!(consumer.disconnected, depth);
        assert_eq!(
            consumer.mempool,
            paid.iter().copied().collect(),
            "the payments are unconfirmed again"
        );

        node.mine(depth + 1).await;
        consumer.settle(&node).await;
        assert!(
            paid.iter().all(|txid| consumer.connected.contains(txid)),
            "and confirmed again"
        );
        assert!(consumer.mempool.is_empty() && consumer.left.is_empty());
    }
}

#[tokio::test]
async fn a_replacement_is_named() {
    let (node, mut payer, mut consumer) = following().await;
    let old = pay(&node, &mut payer).await;
    consumer.settle(&node).await;
    let new = payer.replace(&old, &[(anyones(), AMOUNT)]);
    node.send_raw(&new).await;
    consumer.settle(&node).await;
    let by = new.compute_txid();
    assert_eq!(consumer.left, [(old.compute_txid(), LeaveReason::Replaced { by })]);
}

#[tokio::test]
async fn a_double_spend_in_a_block_is_named() {
    let (node, mut payer, mut consumer) = following().await;
    let old = pay(&node, &mut payer).await;
    consumer.settle(&node).await;
    let new = payer.replace(&old, &[(anyones(), AMOUNT)]);
    node.mine_with(std::slice::from_ref(&new)).await;
    assert!(
        matches!(consumer.next_change().await, ChainEvent::BlockConnected { .. }),
        "the block comes first"
    );
    consumer.settle(&node).await;
    let by = new.compute_txid();
    assert_eq!(consumer.left, [(old.compute_txid(), LeaveReason::Replaced { by })]);
}

#[tokio::test]
async fn a_burst_of_payments_is_emitted_completely() {
    let (node, mut payer, mut consumer) = following().await;
    payer.split(&node, InputKind::P2wpkh, 300, AMOUNT * 2).await;
    consumer.settle(&node).await;
    for _ in 0..300 {
        pay(&node, &mut payer).await;
    }
    consumer.settle(&node).await;
    node.mine(1).await;
    consumer.settle(&node).await;
    assert!(consumer.left.is_empty());
}

#[tokio::test]
async fn a_restart_of_the_node_loses_nothing() {
    // Of its own: it is restarted.
    let mut node = Bitcoind::start(Options::default()).await;
    let (mut payer, mut consumer) = following_on(&node).await;
    let kept = pay(&node, &mut payer).await.compute_txid();
    consumer.settle(&node).await;
    node.stop().await;
    consumer
        .until(|state| matches!(state, FollowState::Unreachable { .. }))
        .await;
    node.start_again().await;
    node.mine(2).await;
    consumer.until(|state| matches!(state, FollowState::Following)).await;
    consumer.settle(&node).await;
    assert!(consumer.connected.contains(&kept));

    // Its signals are received again, so it is not only polled.
    consumer.settle_on_signals(&node).await;
    let txid = pay(&node, &mut payer).await.compute_txid();
    let ChainEvent::TxsEntered(txs) = consumer.next_change().await else {
        panic!("not the payment")
    };
    assert_eq!((txs[0].txid, consumer.left.len()), (txid, 0));
}

/// A comparison of the whole mempool after an hour is the only other way to find the payment.
#[tokio::test]
async fn without_the_topic_sequence_the_mempool_is_polled_from_the_start() {
    let mut node = Bitcoind::start(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    node.stop().await;
    let blocks = format!("-zmqpubhashblock={}", node.zmq_url());
    node.start_again_with(Options {
        zmq: false,
        args: vec![blocks],
        ..Options::default()
    })
    .await;
    let options = FollowerOptions {
        reconcile_interval: Duration::from_secs(3600),
        ..FollowerOptions::default()
    };
    let source = Arc::new(source(&node));
    let (follower, mut events) = Follower::spawn(Arc::<NodeSource>::clone(&source), Start::default(), options);
    let known = testkit::eventually(DEADLINE, "the topics", async || source.event_source());
    assert_eq!(known.await, EventSource::ZmqWithoutSequence);
    let tx = pay(&node, &mut payer).await;
    let entered = async {
        loop {
            if let ChainEvent::TxsEntered(txs) = events.recv().await.expect("an event").event {
                break txs;
            }
        }
    };
    let entered = timeout(DEADLINE, entered).await.expect("the payment");
    assert_eq!(entered[0].txid, tx.compute_txid());
    assert!(!follower.status().borrow().signalled);
}

#[tokio::test]
async fn without_zmq_everything_is_found_by_polling() {
    let node = PooledNode::take(Options {
        zmq: false,
        ..Options::default()
    })
    .await;
    let mut payer = Payer::funded(&node).await;
    let mut consumer = Consumer::start(source_without_zmq(&node), Vec::new());
    consumer.settle(&node).await;
    let old = pay(&node, &mut payer).await;
    consumer.settle(&node).await;
    let new = payer.replace(&old, &[(anyones(), AMOUNT)]);
    node.send_raw(&new).await;
    consumer.settle(&node).await;
    let by = new.compute_txid();
    assert_eq!(consumer.left, [(old.compute_txid(), LeaveReason::Replaced { by })]);
    node.mine(1).await;
    consumer.settle(&node).await;
    node.invalidate(node.tip().await).await;
    consumer.settle(&node).await;
    assert!(consumer.disconnected == 1 && consumer.mempool.contains(&by));
    assert!(!consumer.follower.status().borrow().signalled);
}

#[tokio::test]
async fn an_unreachable_zmq_address_is_replaced_by_polling() {
    let node = PooledNode::take(Options {
        zmq: false,
        ..Options::default()
    })
    .await;
    let mut payer = Payer::funded(&node).await;
    let mut consumer = Consumer::start(source(&node), Vec::new());
    consumer.settle(&node).await;
    let start = std::time::Instant::now();
    pay(&node, &mut payer).await;
    consumer.settle(&node).await;
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "found by the poll every second, not by the comparison every half minute"
    );
}

#[tokio::test]
async fn the_stream_resumes_where_the_consumer_was_killed() {
    let (node, mut payer, mut consumer) = following().await;
    node.mine(8).await;
    consumer.settle(&node).await;
    let Consumer {
        follower,
        events,
        recent,
        ..
    } = consumer;
    drop((follower, events));

    // A reorganisation, 150 blocks, and a payment in the middle of them.
    let first = node.height().await + 1;
    node.invalidate(node.hash_at(first - 3).await).await;
    node.mine(70).await;
    let txid = pay(&node, &mut payer).await.compute_txid();
    node.mine(80).await;
    let mut consumer = Consumer::start(source(&node), recent);
    consumer.settle(&node).await;
    assert_eq!((consumer.jumps, consumer.disconnected), (0, 3));
    assert!(consumer.connected.contains(&txid));
    let heights: Vec<_> = consumer.recent.iter().map(|at| at.height).collect();
    assert!(heights.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{heights:?}");
}

#[tokio::test]
async fn pruned_blocks_are_skipped() {
    // Block files are pruned whole, and hold 64 KiB with this option of the node's own tests.
    let options = Options {
        prune: Some(1),
        args: vec!["-fastprune".to_owned()],
        ..Options::default()
    };
    // Of its own: it is pruned.
    let node = Bitcoind::start(options).await;
    node.mine(10).await;
    let known = BlockRef {
        height: 5,
        hash: node.hash_at(5).await,
    };
    node.mine(990).await;
    node.rpc()
        .call("pruneblockchain", serde_json::json!([700]))
        .await
        .unwrap();
    let mut consumer = Consumer::start(source(&node), vec![known]);
    consumer.settle(&node).await;
    assert_eq!(consumer.jumps, 1);
    let first = consumer.recent[0].height;
    assert!(
        (10..700).contains(&first),
        "continues at the first kept block, not at the tip: {first}"
    );
}

#[tokio::test]
async fn a_wrong_password_is_reported_and_retried() {
    let user = |password: &str| ("alice".to_owned(), password.to_owned());
    // Of its own: it is restarted.
    let mut node = Bitcoind::start(Options {
        user: Some(user("other")),
        ..Options::default()
    })
    .await;
    node.mine(3).await;
    let auth = Auth::UserPassword {
        user: "alice".to_owned(),
        password: "right".to_owned().into(),
    };
    let mut consumer = Consumer::start(source_with(&node, auth), Vec::new());
    let unauthorized = |state: &FollowState| match state {
        FollowState::Unreachable { error } => error.to_string().contains("refuses the credentials"),
        _ => false,
    };
    consumer.until(unauthorized).await;
    node.stop().await;
    node.start_again_with(Options {
        user: Some(user("right")),
        ..Options::default()
    })
    .await;
    consumer.settle(&node).await;
}
