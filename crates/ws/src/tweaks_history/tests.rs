use std::time::Instant;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use sdk_relay_chain::BlockRef;
use sdk_relay_index::{IndexFigures, IndexState, Pool};
use sdk_relay_store::BlockChange;
use tokio::time::timeout;

use super::*;
use crate::testing;

/// No wait of a test takes as long.
const DEADLINE: Duration = Duration::from_secs(60);

fn hash(height: u32, branch: u8) -> BlockHash {
    BlockHash::hash(&[&height.to_le_bytes()[..], &[branch]].concat())
}

fn block(height: u32, branch: u8) -> IndexedBlock {
    IndexedBlock {
        height,
        hash: hash(height, branch),
        time: 0,
        transactions: Vec::new(),
        spent: Vec::new(),
    }
}

/// With its event.
fn publish(hub: &Hub, change: BlockChange) {
    testing::publish(hub, Some(change));
}

struct Fixture {
    hub: Arc<Hub>,
    index: Index,
    status: watch::Sender<IndexStatus>,
    _dir: tempfile::TempDir,
}

impl Fixture {
    /// A log and an index of the blocks 0 to 9 of one chain.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let hub = testing::hub(&dir);
        for height in 0..10 {
            publish(&hub, BlockChange::Connect(height, hash(height, 0)));
        }
        let store = Arc::new(TweakIndex::open(&dir.path().join("index"), "regtest", 0).unwrap());
        let blocks: Vec<_> = (0..10).map(|height| block(height, 0)).collect();
        store.append(BlockHash::all_zeros(), &blocks).unwrap();
        let status = watch::Sender::new(IndexStatus {
            state: IndexState::Current,
            since: Instant::now(),
            start_height: 0,
            first: 0,
            first_is_known: true,
            tip: Some(at(9, 0)),
            target: None,
            node_is_syncing: false,
        });
        let index = Index {
            store,
            status: status.subscribe(),
            figures: watch::channel(IndexFigures::default()).1,
            pool: Arc::new(Pool::new(1).unwrap()),
        };
        Self {
            hub,
            index,
            status,
            _dir: dir,
        }
    }

    /// Of a connection at the head of the log. Its waits end with a change alone.
    fn history(&self, from: u32) -> TweaksHistory {
        let mut history = TweaksHistory::new(self.index.clone(), from, &self.hub, Some(&self.hub.live()));
        history.changes.retry = Duration::from_secs(86_400);
        history
    }

    /// The index follows a reorganisation above a block.
    fn reorganise_index(&self, above: u32) {
        self.index.store.rewind(above).unwrap();
        let blocks: Vec<_> = (above + 1..12).map(|height| block(height, 1)).collect();
        self.index.store.append(hash(above, 0), &blocks).unwrap();
        self.status.send_modify(|status| status.tip = Some(at(11, 1)));
    }

    /// The log follows the same.
    fn reorganise_log(&self, above: u32) {
        for height in (above + 1..10).rev() {
            let parent = hash(height - 1, 0);
            publish(&self.hub, BlockChange::Disconnect { height, parent });
        }
        for height in above + 1..12 {
            publish(&self.hub, BlockChange::Connect(height, hash(height, 1)));
        }
    }

    /// The heights that are sent as history, up to its end.
    async fn rest(&self, history: &mut TweaksHistory) -> Vec<u64> {
        let cursor = self.hub.live();
        let mut heights = Vec::new();
        while let Some(frames) = next(history, &cursor).await {
            for frame in frames {
                let sent: serde_json::Value = serde_json::from_slice(&frame.text()).unwrap();
                heights.push(sent["data"]["block_height"].as_u64().unwrap());
            }
        }
        heights
    }
}

fn at(height: u32, branch: u8) -> BlockRef {
    BlockRef {
        height,
        hash: hash(height, branch),
    }
}

/// The next part, which does not take as long as a wait without a change.
async fn next(history: &mut TweaksHistory, cursor: &Cursor) -> Option<Vec<Frame>> {
    timeout(DEADLINE, history.next(Some(cursor)))
        .await
        .expect("a change ends the wait")
}

/// It waits: nothing comes, however long.
async fn assert_waits(history: &mut TweaksHistory, cursor: &Cursor) {
    // The clock is paused, and advances while everything waits.
    let part = timeout(DEADLINE, history.next(Some(cursor))).await;
    assert!(part.is_err(), "{part:?}");
}

#[tokio::test(start_paused = true)]
async fn all_of_it_where_nothing_happens() {
    let fixture = Fixture::new();
    let mut history = fixture.history(3);
    assert_eq!(fixture.rest(&mut history).await, (3..10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_index_that_is_ahead_of_the_log_is_waited_for() {
    let fixture = Fixture::new();
    let mut history = fixture.history(0);
    let cursor = fixture.hub.live();
    // The index follows a reorganisation that the log has not followed yet: blocks of the new chain are live, and not
    // sent before.
    fixture.reorganise_index(6);
    assert_waits(&mut history, &cursor).await;
    fixture.reorganise_log(6);
    assert_eq!(fixture.rest(&mut history).await, (0..=6).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_index_that_is_behind_the_log_is_waited_for() {
    let fixture = Fixture::new();
    let mut history = fixture.history(0);
    fixture.reorganise_log(6);
    let cursor = fixture.hub.live();
    // Blocks of the old chain are not sent any more.
    assert_waits(&mut history, &cursor).await;
    fixture.reorganise_index(6);
    assert_eq!(fixture.rest(&mut history).await, (0..=6).collect::<Vec<_>>());
}

/// Also while it waits, and not with the next retry.
#[tokio::test]
async fn a_change_of_the_index_or_of_the_log_ends_the_wait() {
    for log_first in [true, false] {
        let fixture = Fixture::new();
        let mut history = fixture.history(0);
        let follow = [Fixture::reorganise_log, Fixture::reorganise_index];
        let [first, second] = if log_first { [0, 1] } else { [1, 0] }.map(|n: usize| follow[n]);
        first(&fixture, 6);
        let cursor = fixture.hub.live();
        let (part, ()) = tokio::join!(next(&mut history, &cursor), async { second(&fixture, 6) });
        assert_eq!(part.map(|frames| frames.len()), Some(7), "the log first: {log_first}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_above_the_index_is_waited_for() {
    let fixture = Fixture::new();
    publish(&fixture.hub, BlockChange::Connect(10, hash(10, 0)));
    let mut history = fixture.history(10);
    let cursor = fixture.hub.live();
    assert_waits(&mut history, &cursor).await;
    fixture.index.store.append(hash(9, 0), &[block(10, 0)]).unwrap();
    fixture.status.send_modify(|status| status.tip = Some(at(10, 0)));
    assert_eq!(fixture.rest(&mut history).await, [10]);
}

#[tokio::test(start_paused = true)]
async fn blocks_that_connect_before_the_first_part_are_live() {
    let fixture = Fixture::new();
    let mut history = fixture.history(7);
    publish(&fixture.hub, BlockChange::Connect(10, hash(10, 0)));
    fixture.index.store.append(hash(9, 0), &[block(10, 0)]).unwrap();
    assert_eq!(fixture.rest(&mut history).await, [7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn without_a_change_it_tries_again_after_a_time() {
    let fixture = Fixture::new();
    let mut history = fixture.history(0);
    history.changes.retry = RETRY;
    let cursor = fixture.hub.live();
    let tip = at(9, 0);
    fixture.status.send_modify(|status| status.tip = None);
    // As a block that can be read again: nobody is notified.
    let silent = async {
        tokio::time::sleep(RETRY / 2).await;
        fixture.status.send_if_modified(|status| {
            status.tip = Some(tip);
            false
        });
    };
    let (part, ()) = tokio::join!(next(&mut history, &cursor), silent);
    assert_eq!(part.map(|frames| frames.len()), Some(10));
}
