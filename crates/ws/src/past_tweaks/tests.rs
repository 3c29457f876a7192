use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use bytes::Bytes;
use sdk_relay_index::{IndexFigures, IndexState, IndexStatus, Pool};
use sdk_relay_protocol::Topic;
use sdk_relay_store::{BlockChange, EventKind, LogEntry, Retention, Store};
use tokio::sync::watch;
use tokio::time::timeout;

use super::*;

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

/// With the event that tells it.
fn publish(hub: &Hub, change: BlockChange) {
    let entry = LogEntry {
        id: hub.newest() + 1,
        topic: Topic::Notifications,
        kind: EventKind::Unknown,
        height: None,
        block_hash: None,
        payload: Bytes::from_static(b"{}"),
    };
    hub.publish(vec![entry], Some(change));
}

struct Fixture {
    hub: Arc<Hub>,
    index: Index,
    _dir: tempfile::TempDir,
}

impl Fixture {
    /// A log and an index of the blocks 0 to 9 of one chain.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let retention = Retention {
            events: 100,
            bytes: 1 << 20,
        };
        let store = Store::open(&dir.path().join("relay.redb"), "regtest", retention).unwrap();
        let hub = Arc::new(Hub::new(Arc::new(store)).unwrap());
        for height in 0..10 {
            publish(&hub, BlockChange::Connect(height, hash(height, 0)));
        }
        let store = Arc::new(TweakIndex::open(&dir.path().join("index"), "regtest", 0).unwrap());
        let blocks: Vec<_> = (0..10).map(|height| block(height, 0)).collect();
        store.append(BlockHash::all_zeros(), &blocks).unwrap();
        let status = IndexStatus {
            state: IndexState::Current,
            since: std::time::Instant::now(),
            start_height: 0,
            first: 0,
            first_is_known: true,
            tip: None,
            target: None,
            node_is_syncing: false,
        };
        let index = Index {
            store,
            status: watch::channel(status).1,
            figures: watch::channel(IndexFigures::default()).1,
            pool: Arc::new(Pool::new(1).unwrap()),
        };
        Self { hub, index, _dir: dir }
    }

    /// Of a connection at the head of the log.
    fn past(&self, from: u32) -> PastTweaks {
        PastTweaks::new(self.index.clone(), from, &self.hub, Some(&self.hub.live()))
    }

    /// The index goes over to another chain above a block.
    fn reorganise(&self, above: u32) {
        self.index.store.rewind(above).unwrap();
        let blocks: Vec<_> = (above + 1..12).map(|height| block(height, 1)).collect();
        self.index.store.append(hash(above, 0), &blocks).unwrap();
    }

    /// The log tells the same.
    fn tell(&self, above: u32) {
        for height in (above + 1..10).rev() {
            let parent = hash(height - 1, 0);
            publish(&self.hub, BlockChange::Disconnect { height, parent });
        }
        for height in above + 1..12 {
            publish(&self.hub, BlockChange::Connect(height, hash(height, 1)));
        }
    }

    /// The heights that are told as history, up to its end.
    async fn rest(&self, past: &mut Option<PastTweaks>) -> Vec<u64> {
        let cursor = self.hub.live();
        let mut heights = Vec::new();
        while let Some(frames) = next_past(past, &self.hub, Some(&cursor)).await {
            for frame in frames {
                let told: serde_json::Value = serde_json::from_slice(&frame.text()).unwrap();
                heights.push(told["data"]["block_height"].as_u64().unwrap());
            }
        }
        heights
    }
}

#[tokio::test]
async fn all_of_it_where_nothing_happens() {
    let fixture = Fixture::new();
    let mut past = Some(fixture.past(3));
    assert_eq!(fixture.rest(&mut past).await, (3..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_index_that_is_ahead_of_the_log_is_waited_for() {
    let fixture = Fixture::new();
    let mut past = Some(fixture.past(0));
    let cursor = fixture.hub.live();
    // The index follows a reorganisation that the log has not told yet.
    fixture.reorganise(6);
    let early = timeout(LOOK_AGAIN * 4, next_past(&mut past, &fixture.hub, Some(&cursor))).await;
    assert!(early.is_err(), "blocks of the new chain come live, and not before");
    fixture.tell(6);
    assert_eq!(fixture.rest(&mut past).await, (0..=6).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_index_that_is_behind_the_log_is_waited_for() {
    let fixture = Fixture::new();
    let mut past = Some(fixture.past(0));
    fixture.tell(6);
    let cursor = fixture.hub.live();
    let early = timeout(LOOK_AGAIN * 4, next_past(&mut past, &fixture.hub, Some(&cursor))).await;
    assert!(early.is_err(), "blocks of the old chain are not told any more");
    fixture.reorganise(6);
    assert_eq!(fixture.rest(&mut past).await, (0..=6).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_connects_before_the_first_look_is_told_live() {
    let fixture = Fixture::new();
    let mut past = Some(fixture.past(7));
    publish(&fixture.hub, BlockChange::Connect(10, hash(10, 0)));
    fixture.index.store.append(hash(9, 0), &[block(10, 0)]).unwrap();
    assert_eq!(fixture.rest(&mut past).await, [7, 8, 9]);
}
