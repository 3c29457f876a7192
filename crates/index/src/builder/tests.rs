//! The builder beside a chain in memory, with a paused clock: each wait takes no time, and blocking work is a task.

use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use bitcoin::{BlockHash, OutPoint, Transaction, Txid};
use sdk_relay_bip352::Fast;
use sdk_relay_chain::follower::FollowState;
use sdk_relay_chain::{
    BlockWithPrevouts, BroadcastError, FeeRates, MempoolSnapshot, MempoolTx, NodeInfo, Signals, SourceStatus,
};
use sdk_relay_devchain::{DevChain, FIRST_BLOCKS};
use sdk_relay_platform::simulation;
use tokio::time::{Instant, timeout};

use super::*;

/// Passes at once where nothing else is left to do.
const DEADLINE: Duration = Duration::from_secs(3600);

/// A development chain that fails, syncs, prunes, or reorganises in the middle of a build.
struct Source {
    chain: Arc<DevChain>,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    /// Requests of the status that still fail.
    failures: u32,
    /// Requests of the status so far, and when the last one was.
    requests: u32,
    last: Option<Instant>,
    /// Best header of a node in its initial download.
    headers: Option<u32>,
    prune_height: Option<u32>,
    /// Reorganises by this depth when the block at this height is requested.
    reorg: Option<(u32, u32)>,
}

impl Source {
    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap()
    }
}

#[async_trait]
impl ChainSource for Source {
    async fn status(&self) -> Result<SourceStatus, SourceError> {
        let status = self.chain.status().await?;
        let mut plan = self.plan();
        plan.requests += 1;
        plan.last = Some(Instant::now());
        if plan.failures > 0 {
            plan.failures -= 1;
            return Err(SourceError::Unreachable {
                at: "the node".to_owned(),
                reason: "planned".to_owned(),
            });
        }
        Ok(SourceStatus {
            chain: "main".to_owned(),
            headers: plan.headers.unwrap_or(status.headers),
            initial_block_download: plan.headers.is_some(),
            prune_height: plan.prune_height,
            ..status
        })
    }

    async fn tip(&self) -> Result<BlockRef, SourceError> {
        self.chain.tip().await
    }

    async fn hash_at(&self, height: u32) -> Result<Option<BlockHash>, SourceError> {
        let reorg = self.plan().reorg.take_if(|(at, _)| *at == height);
        if let Some((_, depth)) = reorg {
            self.chain.reorg(depth).unwrap();
        }
        self.chain.hash_at(height).await
    }

    async fn block(&self, hash: BlockHash) -> Result<BlockWithPrevouts, SourceError> {
        self.chain.block(hash).await
    }

    async fn mempool(&self) -> Result<MempoolSnapshot, SourceError> {
        unimplemented!("the index reads blocks")
    }

    async fn transactions(&self, _: &[Txid], _: Vec<Transaction>) -> Result<Vec<MempoolTx>, SourceError> {
        unimplemented!("the index reads blocks")
    }

    async fn spenders(&self, _: &[OutPoint]) -> Result<Vec<Option<Txid>>, SourceError> {
        unimplemented!("the index reads blocks")
    }

    async fn broadcast(&self, _: &Transaction) -> Result<Txid, BroadcastError> {
        unimplemented!("the index reads blocks")
    }

    async fn info(&self) -> Result<NodeInfo, SourceError> {
        unimplemented!("the index reads blocks")
    }

    async fn fee_rates(&self, _: &[u16]) -> Result<FeeRates, SourceError> {
        unimplemented!("the index reads blocks")
    }

    async fn block_info(&self, _: BlockHash) -> Result<serde_json::Value, SourceError> {
        unimplemented!("the index reads blocks")
    }

    fn signals(&self) -> Option<Signals> {
        None
    }
}

/// A running builder.
struct Fixture {
    source: Arc<Source>,
    index: Arc<TweakIndex>,
    status: watch::Receiver<IndexStatus>,
    follow: watch::Sender<FollowStatus>,
    _builder: AbortOnDropHandle<()>,
    _simulation: simulation::Guard,
    _dir: tempfile::TempDir,
}

impl Fixture {
    fn start(plan: Plan) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), plan)
    }

    fn start_in(dir: tempfile::TempDir, plan: Plan) -> Self {
        let simulation = simulation::enter(1, 1_700_000_000);
        let source = Arc::new(Source {
            chain: DevChain::open(dir.path()).unwrap(),
            plan: Mutex::new(plan),
        });
        let index = Arc::new(open(dir.path()));
        let (follow, followed) = watch::channel(FollowStatus {
            state: FollowState::Following,
            since: Instant::now(),
            tip: None,
            last_contact: None,
            signalled: false,
            unsignalled: None,
        });
        let (builder, status, _) = Builder::new(
            Arc::clone(&index),
            Arc::<Source>::clone(&source),
            Arc::new(Pool::new(1).unwrap()),
            Scanner::new(Arc::new(Fast::new()), |_, _| {}),
            followed,
        )
        .unwrap();
        Self {
            source,
            index,
            status,
            follow,
            _builder: AbortOnDropHandle::new(tokio::spawn(builder.run())),
            _simulation: simulation,
            _dir: dir,
        }
    }

    async fn until(&mut self, holds: impl FnMut(&IndexStatus) -> bool) -> IndexStatus {
        let status = timeout(DEADLINE, self.status.wait_for(holds)).await;
        status.expect("in an hour of the paused clock").unwrap().clone()
    }

    /// Waits until the index is at the tip of the chain, and compares every block.
    async fn until_current(&mut self) {
        let tip = self.source.chain.tip().await.unwrap();
        self.until(|status| status.state == IndexState::Current && status.tip == Some(tip))
            .await;
        self.compare(tip.height).await;
    }

    async fn compare(&self, tip: u32) {
        let first = self.index.first().unwrap().unwrap().height;
        for height in first..=tip {
            let expected = self.source.chain.hash_at(height).await.unwrap();
            assert_eq!(self.index.hash_at(height).unwrap(), expected, "block {height}");
        }
        assert_eq!(self.index.tip().unwrap().unwrap().height, tip);
    }
}

fn open(dir: &Path) -> TweakIndex {
    TweakIndex::open(&dir.join("index"), "regtest", 0).unwrap()
}

#[tokio::test(start_paused = true)]
async fn it_builds_to_the_tip_and_continues_at_the_next_notification() {
    let mut fixture = Fixture::start(Plan::default());
    fixture.until_current().await;
    let began = Instant::now();
    fixture.source.chain.mine(3).unwrap();
    fixture.follow.send_modify(|_| {});
    fixture.until_current().await;
    assert_eq!(began.elapsed(), Duration::ZERO, "it does not wait for the next poll");
}

#[tokio::test(start_paused = true)]
async fn without_notifications_it_polls() {
    let mut fixture = Fixture::start(Plan::default());
    fixture.until_current().await;
    let last = fixture.source.plan().last.unwrap();
    fixture.source.chain.mine(1).unwrap();
    fixture.until_current().await;
    let after = Instant::now() - last;
    assert!(after >= POLL_INTERVAL && after < POLL_INTERVAL + RETRY, "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_asked_again_at_each_interval_and_its_reason_is_shown() {
    let mut fixture = Fixture::start(Plan {
        failures: 3,
        ..Plan::default()
    });
    let began = Instant::now();
    let failing = fixture
        .until(|status| matches!(status.state, IndexState::Failing(_)))
        .await;
    assert_eq!(
        failing.state,
        IndexState::Failing(
            SourceError::Unreachable {
                at: "the node".to_owned(),
                reason: "planned".to_owned()
            }
            .to_string()
        )
    );
    fixture.until_current().await;
    assert_eq!(began.elapsed(), 3 * RETRY);
}

/// With a full disk each attempt begins well, and fails when it writes.
#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_is_a_failure_until_blocks_are_added() {
    let mut fixture = Fixture::start(Plan::default());
    // A directory where the first file of rows should be. The builder has not run yet.
    let blocked = fixture._dir.path().join("index/000000.rows");
    std::fs::create_dir(&blocked).unwrap();
    let failing = |status: &IndexStatus| matches!(status.state, IndexState::Failing(_));
    let since = fixture.until(failing).await.since;
    let requests = fixture.source.plan().requests;
    let continued = timeout(5 * RETRY, fixture.status.wait_for(|status| !failing(status)))
        .await
        .is_ok();
    assert!(!continued, "no attempt is shown as progress");
    assert!(fixture.source.plan().requests >= requests + 4, "it has tried again");
    assert_eq!(fixture.status.borrow().since, since);
    std::fs::remove_dir(&blocked).unwrap();
    fixture.until_current().await;
}

#[tokio::test(start_paused = true)]
async fn a_reorganisation_replaces_the_blocks_above_the_common_one_at_any_depth() {
    for depth in [1, 2, 50] {
        let mut fixture = Fixture::start(Plan::default());
        fixture.until_current().await;
        fixture.source.chain.reorg(depth).unwrap();
        fixture.follow.send_modify(|_| {});
        fixture.until_current().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reorganisation_in_the_middle_of_a_build_leaves_no_block_of_the_old_chain() {
    // At each place of the window of blocks in flight, and deeper than it.
    for at in [FIRST_BLOCKS - 8, FIRST_BLOCKS - 3, FIRST_BLOCKS] {
        for depth in [1, 3, 20] {
            let mut fixture = Fixture::start(Plan {
                reorg: Some((at, depth)),
                ..Plan::default()
            });
            fixture
                .until(|status| status.tip.is_some_and(|tip| tip.height > FIRST_BLOCKS))
                .await;
            fixture.until_current().await;
            assert_eq!(fixture.source.plan().reorg, None, "the chain was reorganised");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_synchronises_is_followed_and_never_current() {
    let mut fixture = Fixture::start(Plan {
        headers: Some(1_000),
        ..Plan::default()
    });
    let building = fixture
        .until(|status| status.tip.is_some_and(|tip| tip.height == FIRST_BLOCKS))
        .await;
    assert_eq!((building.target, building.node_is_syncing), (Some(1_000), true));
    fixture.source.chain.mine(1).unwrap();
    let building = fixture
        .until(|status| status.tip.is_some_and(|tip| tip.height > FIRST_BLOCKS))
        .await;
    assert_eq!(building.state, IndexState::Building);
    fixture.source.plan().headers = None;
    fixture.until_current().await;
}

#[tokio::test(start_paused = true)]
async fn blocks_that_the_node_has_pruned_are_left_out_and_no_hole_is_left() {
    let kept = 40;
    let mut fixture = Fixture::start(Plan {
        prune_height: Some(kept),
        ..Plan::default()
    });
    fixture.until_current().await;
    assert_eq!(fixture.status.borrow().first, kept);
    assert_eq!(fixture.index.first().unwrap().unwrap().height, kept);
    // The node has pruned more than the index has: it begins again above the hole.
    let tip = fixture.source.chain.tip().await.unwrap().height;
    fixture.source.chain.mine(10).unwrap();
    fixture.source.plan().prune_height = Some(tip + 5);
    fixture.until_current().await;
    assert_eq!(fixture.index.first().unwrap().unwrap().height, tip + 5);
}

#[tokio::test(start_paused = true)]
async fn an_index_that_is_opened_again_continues_where_it_ended() {
    let mut fixture = Fixture::start(Plan::default());
    fixture.until_current().await;
    let Fixture {
        source,
        index,
        _builder: builder,
        _simulation: simulation,
        _dir: dir,
        ..
    } = fixture;
    drop(builder);
    source.chain.mine(2).unwrap();
    // The database and the chain are open once at a time: all that hold them have to end first.
    tokio::task::yield_now().await;
    drop((source, index, simulation));
    let mut fixture = Fixture::start_in(dir, Plan::default());
    let tip = fixture.status.borrow().tip.unwrap();
    assert_eq!(tip.height, FIRST_BLOCKS, "what was committed before");
    fixture.until_current().await;
}
