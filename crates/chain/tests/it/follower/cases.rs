//! Single scenarios, each with the exact emitted events.

use std::sync::Arc;
use std::time::Duration;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use sdk_relay_chain::follower::{FollowState, FollowStatus, POLL_INTERVAL, RECONCILE_INTERVAL};
use sdk_relay_chain::{BlockRef, ChainEvent, LeaveReason, Signal, SourceError};
use tokio::time::{Instant, timeout};

use crate::follower::model::Model;
use crate::follower::replica::Replica;
use crate::follower::run::Consumer;

/// A node with `height` blocks above its genesis, and a consumer that has synchronised with it.
async fn settled(height: u32) -> (Arc<Model>, Consumer) {
    let model = Model::new(1);
    (0..height).for_each(|_| model.world().mine(0, false));
    let mut consumer = Consumer::start(&model, Replica::default());
    consumer.settle().await;
    (model, consumer)
}

fn replica(recent: Vec<BlockRef>) -> Replica {
    Replica {
        recent,
        ..Replica::default()
    }
}

async fn until(consumer: &Consumer, state: impl Fn(&FollowState) -> bool) -> FollowStatus {
    let mut status = consumer.follower.status();
    let reached = timeout(Duration::from_secs(60), status.wait_for(|status| state(&status.state))).await;
    reached
        .expect("the state within a minute")
        .expect("the follower runs")
        .clone()
}

#[tokio::test(start_paused = true)]
async fn the_first_start_begins_at_the_tip() {
    let (model, consumer) = settled(50).await;
    assert_eq!(
        (consumer.replica.jumps, consumer.replica.recent),
        (1, vec![model.world().tip()])
    );
    let status = consumer.follower.status().borrow().clone();
    assert!(matches!(status.state, FollowState::Following));
    assert_eq!(status.tip, Some(model.world().tip()));
}

#[tokio::test(start_paused = true)]
async fn the_first_start_waits_for_a_node_that_is_still_synchronising() {
    let model = Model::new(1);
    {
        let mut world = model.world();
        (0..20).for_each(|_| world.mine(0, false));
        (world.chain, world.initial_block_download, world.headers) = ("main", true, Some(900_000));
    }
    let mut consumer = Consumer::start(&model, Replica::default());
    let status = until(&consumer, |state| matches!(state, FollowState::WaitingForNode { .. })).await;
    assert!(
        matches!(
            status.state,
            FollowState::WaitingForNode {
                blocks: 20,
                headers: 900_000
            }
        ),
        "{status:?}"
    );
    consumer.take_for(Duration::from_secs(600)).await;
    assert_eq!(
        consumer.replica.events, 0,
        "no event is emitted before the node has its chain"
    );

    model.world().mine(0, false);
    model.world().headers = None;
    consumer.settle().await;
    assert_eq!(consumer.replica.recent, [model.world().tip()]);
}

#[tokio::test(start_paused = true)]
async fn the_follower_waits_for_a_node_that_rebuilds_its_chain() {
    let (model, mut consumer) = settled(50).await;
    let full = model.world().active.clone();
    {
        let mut world = model.world();
        (world.chain, world.initial_block_download, world.headers) = ("main", true, Some(50));
        world.active.truncate(11);
    }
    consumer.take_for(Duration::from_secs(600)).await;
    assert_eq!(
        consumer.replica.events, 1,
        "no block is disconnected: {:?}",
        consumer.replica
    );
    until(&consumer, |state| {
        matches!(
            state,
            FollowState::WaitingForNode {
                blocks: 10,
                headers: 50
            }
        )
    })
    .await;
    model.world().active = full;
    consumer.settle().await;
    assert_eq!(consumer.replica.events, 1, "the node reached its previous tip");
}

#[tokio::test(start_paused = true)]
async fn pruned_blocks_are_skipped() {
    let model = Model::new(1);
    (0..40).for_each(|_| model.world().mine(0, false));
    model.world().prune_height = Some(20);
    let known = (1..=5).map(|height| model.world().at(height)).collect();
    let mut consumer = Consumer::start(&model, replica(known));
    consumer.settle().await;
    let expected: Vec<_> = (19..=40).map(|height| model.world().at(height)).collect();
    assert_eq!((consumer.replica.jumps, consumer.replica.recent), (1, expected));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_prunes_more_than_reported_does_not_stop_the_follower() {
    let model = Model::new(1);
    (0..10).for_each(|_| model.world().mine(0, false));
    let known = vec![model.world().at(9)];
    model.world().prune_height = Some(100);
    let mut consumer = Consumer::start(&model, replica(known));
    consumer.take_for(Duration::from_secs(5)).await;
    model.world().prune_height = Some(10);
    consumer.settle().await;
    assert_eq!(consumer.replica.tip(), Some(model.world().at(10)));
}

#[tokio::test(start_paused = true)]
async fn another_chain_is_disconnected_block_by_block_and_then_skipped() {
    let model = Model::new(1);
    (0..40).for_each(|_| model.world().mine(0, false));
    let foreign = |height: u32| BlockRef {
        height,
        hash: BlockHash::from_byte_array([height as u8; 32]),
    };
    let mut consumer = Consumer::start(&model, replica((10..=12).map(foreign).collect()));
    consumer.settle().await;
    assert_eq!(
        (consumer.replica.jumps, consumer.replica.recent),
        (1, vec![model.world().tip()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_reorganisation_below_the_kept_blocks_loses_no_block() {
    let (model, mut consumer) = settled(30).await;
    consumer = consumer.restart(1);
    model.world().reorganise(8, 2);
    consumer.settle().await;
    let expected: Vec<_> = (22..=32).map(|height| model.world().at(height)).collect();
    assert_eq!(
        (consumer.replica.jumps, consumer.replica.recent),
        (1, expected),
        "only the jump of the first start"
    );
}

#[tokio::test(start_paused = true)]
async fn a_mempool_transaction_and_a_block_are_emitted_immediately() {
    let (model, mut consumer) = settled(10).await;
    model.world().latency = Duration::ZERO;
    let start = Instant::now();
    let txid = model.world().add(0).unwrap();
    let ChainEvent::TxsEntered(txs) = consumer.next().await else {
        panic!("not the transaction")
    };
    assert_eq!(txs[0].txid, txid);
    model.world().mine(1, false);
    assert!(matches!(consumer.next().await, ChainEvent::BlockConnected { .. }));
    assert_eq!(start.elapsed(), Duration::ZERO, "without waiting for a tick");
}

#[tokio::test(start_paused = true)]
async fn queued_signals_are_one_look_up() {
    let (model, mut consumer) = settled(10).await;
    model.world().calls.clear();
    (0..12).for_each(|pick| {
        model.world().add(pick);
    });
    let ChainEvent::TxsEntered(txs) = consumer.next().await else {
        panic!("not the transactions")
    };
    assert_eq!(txs.len(), 12);
    assert_eq!(model.world().calls.get("transactions"), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn a_replacement_is_named() {
    let (model, mut consumer) = settled(10).await;
    model.world().add(1).unwrap();
    consumer.settle().await;
    let (old, by) = model.world().replace(0).unwrap();
    consumer.settle().await;
    assert_eq!(consumer.replica.left[&old], LeaveReason::Replaced { by });
}

#[tokio::test(start_paused = true)]
async fn an_unsignalled_replacement_is_named() {
    let (model, mut consumer) = settled(10).await;
    model.world().add(1).unwrap();
    consumer.settle().await;
    model.world().drop_signals = 2;
    let (old, by) = model.world().replace(0).unwrap();
    consumer.settle().await;
    assert_eq!(consumer.replica.left[&old], LeaveReason::Replaced { by });
}

#[tokio::test(start_paused = true)]
async fn a_double_spend_in_a_block_is_named_though_its_signal_comes_before_the_block() {
    let (model, mut consumer) = settled(10).await;
    let txid = model.world().add(1).unwrap();
    consumer.settle().await;
    model.world().mine(0, true);
    let ChainEvent::BlockConnected { block, .. } = consumer.next().await else {
        panic!("not the block")
    };
    let by = block.block.txdata[1].compute_txid();
    consumer.settle().await;
    assert_eq!(consumer.replica.left[&txid], LeaveReason::Replaced { by });
}

#[tokio::test(start_paused = true)]
async fn an_eviction_has_no_replacement() {
    let (model, mut consumer) = settled(10).await;
    let txid = model.world().add(1).unwrap();
    consumer.settle().await;
    model.world().evict(0);
    consumer.settle().await;
    assert_eq!(consumer.replica.left[&txid], LeaveReason::Removed);
}

#[tokio::test(start_paused = true)]
async fn lost_signals_cause_an_immediate_comparison() {
    let (model, mut consumer) = settled(10).await;
    // Between two polls, and with working signals: only the loss triggers the comparison.
    model.world().mine(0, false);
    consumer.settle().await;
    model.world().latency = Duration::ZERO;
    consumer.take_for(Duration::from_millis(500)).await;
    let start = Instant::now();
    model.world().drop_signals = 1;
    model.world().add(1).unwrap();
    model.world().signal(Signal::Lost);
    assert!(matches!(consumer.next().await, ChainEvent::TxsEntered(_)));
    assert!(matches!(consumer.next().await, ChainEvent::MempoolSynced));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_one_change_of_state_each_way() {
    let (model, mut consumer) = settled(10).await;
    model.world().down = true;
    let down = until(&consumer, |state| matches!(state, FollowState::Unreachable { .. })).await;
    assert!(matches!(
        down.state,
        FollowState::Unreachable {
            error: SourceError::Unreachable { .. }
        }
    ));
    consumer.take_for(Duration::from_secs(3600)).await;
    assert_eq!(
        consumer.follower.status().borrow().since,
        down.since,
        "retries do not change the status"
    );
    assert!(model.world().calls["tip"] > 1000, "an hour of trying");

    model.world().reorganise(3, 1);
    model.world().up();
    let back = Instant::now();
    until(&consumer, |state| matches!(state, FollowState::Following)).await;
    assert!(
        back.elapsed() < Duration::from_secs(4),
        "a node's return is noticed within the longest pause"
    );
    consumer.settle().await;
}

#[tokio::test(start_paused = true)]
async fn the_follower_waits_for_an_unreachable_node_at_the_start() {
    let model = Model::new(1);
    model.world().down = true;
    let mut consumer = Consumer::start(&model, Replica::default());
    until(&consumer, |state| matches!(state, FollowState::Unreachable { .. })).await;
    model.world().up();
    consumer.settle().await;
}

#[tokio::test(start_paused = true)]
async fn catching_up_is_reported_with_its_target() {
    let (model, consumer) = settled(10).await;
    let mut consumer = consumer.restart(10);
    (0..100).for_each(|_| model.world().mine(0, false));
    let status = until(&consumer, |state| matches!(state, FollowState::CatchingUp { .. })).await;
    assert!(
        matches!(status.state, FollowState::CatchingUp { target: 110, .. }),
        "{status:?}"
    );
    consumer.settle().await;
    assert_eq!(consumer.replica.recent.len(), 101);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_consumer_bounds_the_fetched_blocks() {
    let (model, consumer) = settled(10).await;
    let mut consumer = consumer.restart(10);
    model.world().calls.clear();
    (0..100).for_each(|_| model.world().mine(0, false));
    tokio::time::sleep(Duration::from_secs(600)).await;
    let fetched = model.world().calls["block"];
    assert!(
        fetched <= 8 + 1 + 4 + 1,
        "{fetched} blocks are held for a consumer that reads none"
    );
    consumer.settle().await;
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_its_follower_and_with_its_receiver() {
    let (model, consumer) = settled(10).await;
    let Consumer {
        follower, mut events, ..
    } = consumer;
    drop(follower);
    assert!(
        timeout(Duration::from_secs(1), events.recv())
            .await
            .expect("ends at once")
            .is_none()
    );

    for down in [false, true] {
        model.world().down = down;
        let Consumer { follower, events, .. } = Consumer::start(&model, Replica::default());
        let mut status = follower.status();
        drop(events);
        let ended = timeout(Duration::from_secs(10), async {
            while status.changed().await.is_ok() {}
        });
        ended.await.expect("the status closes with the task");
    }
    assert_eq!(
        Arc::strong_count(&model),
        2,
        "that of the test, and that of the consumer, which was taken apart"
    );
}

#[tokio::test(start_paused = true)]
async fn without_signals_the_tip_is_polled_and_later_signals_are_used() {
    let model = Model::new(1);
    model.world().signalled = false;
    let mut consumer = Consumer::start(&model, Replica::default());
    consumer.settle().await;
    assert!(!consumer.follower.status().borrow().signalled);
    let start = Instant::now();
    model.world().mine(0, false);
    assert!(matches!(consumer.next().await, ChainEvent::BlockConnected { .. }));
    assert!(start.elapsed() < Duration::from_secs(2));
    model.world().signalled = true;
    consumer.settle().await;
    model.world().mine(0, false);
    consumer.settle().await;
    assert!(consumer.follower.status().borrow().signalled);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_falls_silent_is_replaced_by_polling() {
    let (model, mut consumer) = settled(10).await;
    model.world().mine(0, false);
    consumer.settle().await;
    assert!(consumer.follower.status().borrow().signalled);

    model.world().drop_signals = u32::MAX;
    model.world().mine(0, false);
    consumer.settle().await;
    assert!(!consumer.follower.status().borrow().signalled);
    let since = consumer.follower.status().borrow().unsignalled;
    assert!(since.is_some());
    let start = Instant::now();
    model.world().add(1).unwrap();
    assert!(matches!(consumer.next().await, ChainEvent::TxsEntered(_)));
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "the mempool is polled like the tip"
    );

    let still = consumer.follower.status().borrow().unsignalled;
    assert_eq!(still, since, "since the first change that was not signalled");

    model.world().drop_signals = 0;
    model.world().mine(0, false);
    consumer.settle().await;
    assert_eq!(consumer.follower.status().borrow().unsignalled, None);
    assert!(
        consumer.follower.status().borrow().signalled,
        "one signal restores the trust"
    );
}

#[tokio::test(start_paused = true)]
async fn transactions_of_a_disconnected_block_enter_immediately_with_mempool_signals_only() {
    let (model, mut consumer) = settled(10).await;
    let txid = model.world().add(1).unwrap();
    model.world().mine(1, false);
    consumer.settle().await;
    model.world().latency = Duration::ZERO;
    model.world().chain_signals = false;
    let start = Instant::now();
    model.world().reorganise(1, -1);
    assert!(matches!(consumer.next().await, ChainEvent::BlockDisconnected { .. }));
    let ChainEvent::TxsEntered(txs) = consumer.next().await else {
        panic!("not the transaction")
    };
    assert_eq!((txs[0].txid, start.elapsed()), (txid, Duration::ZERO));
    assert!(matches!(consumer.next().await, ChainEvent::MempoolSynced));
    assert_eq!(start.elapsed(), Duration::ZERO, "the end of the reorganisation");
}

#[tokio::test(start_paused = true)]
async fn a_double_spend_is_emitted_after_its_block_with_mempool_signals_only() {
    let (model, mut consumer) = settled(10).await;
    let txid = model.world().add(1).unwrap();
    consumer.settle().await;
    model.world().latency = Duration::ZERO;
    model.world().chain_signals = false;
    let start = Instant::now();
    model.world().mine(0, true);
    assert!(matches!(consumer.next().await, ChainEvent::BlockConnected { .. }));
    let event = consumer.next().await;
    assert!(matches!(event, ChainEvent::TxLeft { txid: left, reason: LeaveReason::Replaced { .. } } if left == txid));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn signals_before_a_restart_of_the_node_are_not_treated_as_new() {
    let (model, mut consumer) = settled(10).await;
    let txid = model.world().add(1).unwrap();
    consumer.settle().await;
    model.world().down = true;
    until(&consumer, |state| matches!(state, FollowState::Unreachable { .. })).await;
    {
        // Sequence numbers restart with the node; the transaction was reloaded from its disk.
        let mut world = model.world();
        world.up();
        world.signal(Signal::Left {
            txid,
            sequence: 1_000_000,
        });
    }
    consumer.settle().await;
    assert!(consumer.replica.left.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_misses_a_payment_is_replaced_by_polling() {
    let (model, mut consumer) = settled(10).await;
    model.world().mine(0, false);
    consumer.settle().await;
    model.world().drop_signals = u32::MAX;
    for longest in [RECONCILE_INTERVAL, POLL_INTERVAL] {
        let start = Instant::now();
        model.world().add(1).unwrap();
        assert!(matches!(consumer.next().await, ChainEvent::TxsEntered(_)));
        assert!(
            start.elapsed() < longest + Duration::from_secs(1),
            "{:?}",
            start.elapsed()
        );
    }
}
