//! Random histories: in every case the consumer ends with the chain and the mempool of the node, and no event violates
//! a guarantee.

use std::time::Duration;

use proptest::prelude::*;

use crate::follower::model::Model;
use crate::follower::replica::Replica;
use crate::follower::run::Consumer;

#[derive(Clone, Debug)]
enum Op {
    Mine {
        take: usize,
        conflict: bool,
    },
    Reorganise {
        depth: usize,
        extra: isize,
    },
    Add(u64),
    Replace(u64),
    Evict(u64),
    DropSignals(u32),
    Faults(u64),
    Down,
    Up,
    /// The consumer reads nothing for this number of milliseconds.
    Stall(u64),
    /// The consumer is killed and restarts with this number of blocks.
    Restart {
        keep: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..6usize, any::<bool>()).prop_map(|(take, conflict)| Op::Mine { take, conflict }),
        2 => (1..=8usize, -1..=2isize).prop_map(|(depth, extra)| Op::Reorganise { depth, extra }),
        8 => any::<u64>().prop_map(Op::Add),
        2 => any::<u64>().prop_map(Op::Replace),
        1 => any::<u64>().prop_map(Op::Evict),
        1 => (1..10u32).prop_map(Op::DropSignals),
        1 => (0..30u64).prop_map(Op::Faults),
        1 => Just(Op::Down),
        2 => Just(Op::Up),
        1 => (1..3000u64).prop_map(Op::Stall),
        1 => (1..12usize).prop_map(|keep| Op::Restart { keep }),
    ]
}

/// Most steps follow immediately or nearly so, some after the follower has settled.
fn delay() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(0u64), 4 => 0..50u64, 2 => 0..500u64, 1 => 500..40_000u64]
}

async fn play(seed: u64, signalled: bool, ops: Vec<(Op, u64)>) {
    let model = Model::new(seed);
    {
        let mut world = model.world();
        world.signalled = signalled;
        (0..10).for_each(|_| world.mine(0, false));
        (0..10).for_each(|pick| {
            world.add(pick);
        });
    }
    let mut consumer = Consumer::start(&model, Replica::default());
    for (op, delay) in ops {
        match op {
            Op::Mine { take, conflict } => model.world().mine(take, conflict),
            Op::Reorganise { depth, extra } => model.world().reorganise(depth, extra),
            Op::Add(pick) => {
                model.world().add(pick);
            }
            Op::Replace(pick) => {
                model.world().replace(pick);
            }
            Op::Evict(pick) => model.world().evict(pick),
            Op::DropSignals(signals) => model.world().drop_signals = signals,
            Op::Faults(percent) => model.world().fault_percent = percent,
            Op::Down => model.world().down = true,
            Op::Up => model.world().up(),
            Op::Stall(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            Op::Restart { keep } => consumer = consumer.restart(keep),
        }
        consumer.take_for(Duration::from_millis(delay)).await;
    }
    {
        let mut world = model.world();
        world.up();
        world.fault_percent = 0;
        world.drop_signals = 0;
    }
    consumer.settle().await;
    assert_eq!(
        consumer.replica.jumps,
        u32::from(consumer.replica.jumps > 0),
        "at most the first start jumps"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_consumer_ends_with_the_nodes_chain_and_mempool(
        seed in any::<u64>(),
        signalled in prop::bool::weighted(0.8),
        ops in prop::collection::vec((op(), delay()), 1..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(play(seed, signalled, ops));
    }
}
