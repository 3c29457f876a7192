//! A client that only receives.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use testkit::{RelayProcess, eventually};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::wire::{DEADLINE, Wire, get, mine};

/// Time between two blocks, short enough that some are mined during every kind of invalid input.
const BLOCK_EVERY: Duration = Duration::from_millis(100);

/// A client that must receive every block on one connection, and a miner.
pub(crate) struct Bystander {
    /// Event ids and heights of the received blocks.
    received: Arc<Mutex<Vec<(u64, u64)>>>,
    listening: JoinHandle<()>,
    mining: JoinHandle<()>,
    stop: CancellationToken,
    /// Height at the beginning.
    from: u64,
}

impl Bystander {
    pub(crate) async fn connect(relay: &RelayProcess) -> Bystander {
        let from = height(relay).await;
        let mut wire = Wire::connect(&relay.ws_url(), &["notifications"]).await;
        let received = Arc::<Mutex<Vec<_>>>::default();
        let book = Arc::clone(&received);
        let listening = tokio::spawn(async move {
            loop {
                let message = wire.notification().await;
                let id = message["event_id"].as_u64().expect("an id");
                if message["notification_type"] == "block_mined" {
                    let height = message["data"]["block_height"].as_u64().expect("a height");
                    book.lock().unwrap().push((id, height));
                }
            }
        });
        let stop = CancellationToken::new();
        let mining = tokio::spawn(mine_until(stop.clone(), format!("{}/dev/mine", relay.http_url())));
        Bystander {
            received,
            listening,
            mining,
            stop,
            from,
        }
    }

    /// Number of received blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// Ends it, and asserts that it has received every block, once and in order.
    pub(crate) async fn end(self, relay: &RelayProcess) {
        self.stop.cancel();
        self.mining.await.expect("the miner");
        mine(relay, 1).await;
        let tip = height(relay).await;
        let listening = &self.listening;
        eventually(DEADLINE, format!("the bystander receives block {tip}"), async || {
            assert!(!listening.is_finished(), "the bystander has lost its connection");
            let last = self.received.lock().unwrap().last().copied();
            last.filter(|(_, height)| *height >= tip)
        })
        .await;
        self.listening.abort();
        let received = self.received.lock().unwrap();
        let heights: Vec<u64> = received.iter().map(|(_, height)| *height).collect();
        assert_eq!(heights, (self.from + 1..=tip).collect::<Vec<_>>());
        assert!(received.is_sorted_by(|a, b| a.0 < b.0), "{received:?}");
    }
}

async fn mine_until(stop: CancellationToken, url: String) {
    // An interval, not a wait for a condition.
    while timeout(BLOCK_EVERY, stop.cancelled()).await.is_err() {
        let reply = testkit::http_post(&url, &json!({})).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
}

async fn height(relay: &RelayProcess) -> u64 {
    let info = get(relay, "/bitcoin/info").await;
    info["blockchain_info"]["blocks"].as_u64().expect("a height")
}
