use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bitcoin::{BlockHash, OutPoint, Transaction, Txid};
use sdk_relay_chain::{
    BlockRef, BlockWithPrevouts, BroadcastError, MempoolSnapshot, MempoolTx, NodeInfo, Signals, SourceStatus,
};
use tokio::task::JoinSet;

use super::*;

/// A node that takes a second for an answer, and answers every second request only.
#[derive(Default)]
struct Slow {
    requests: AtomicUsize,
}

#[async_trait]
impl ChainSource for Slow {
    async fn fee_rates(&self, targets: &[u16]) -> Result<FeeRates, SourceError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        if number % 2 == 1 {
            return Err(SourceError::Unreachable {
                at: "node:8332".to_owned(),
                reason: "gone".to_owned(),
            });
        }
        Ok(FeeRates {
            estimates: targets
                .iter()
                .map(|target| (*target, (*target < 50).then(|| 100_001 / u64::from(*target))))
                .collect(),
            mempool_minimum: 1_000,
            relay_minimum: 100,
        })
    }

    async fn status(&self) -> Result<SourceStatus, SourceError> {
        unreachable!("only fees are asked for")
    }
    async fn tip(&self) -> Result<BlockRef, SourceError> {
        unreachable!("only fees are asked for")
    }
    async fn hash_at(&self, _: u32) -> Result<Option<BlockHash>, SourceError> {
        unreachable!("only fees are asked for")
    }
    async fn block(&self, _: BlockHash) -> Result<BlockWithPrevouts, SourceError> {
        unreachable!("only fees are asked for")
    }
    async fn mempool(&self) -> Result<MempoolSnapshot, SourceError> {
        unreachable!("only fees are asked for")
    }
    async fn transactions(&self, _: &[Txid], _: Vec<Transaction>) -> Result<Vec<MempoolTx>, SourceError> {
        unreachable!("only fees are asked for")
    }
    async fn spenders(&self, _: &[OutPoint]) -> Result<Vec<Option<Txid>>, SourceError> {
        unreachable!("only fees are asked for")
    }
    async fn broadcast(&self, _: &Transaction) -> Result<Txid, BroadcastError> {
        unreachable!("only fees are asked for")
    }
    async fn info(&self) -> Result<NodeInfo, SourceError> {
        unreachable!("only fees are asked for")
    }
    async fn block_info(&self, _: BlockHash) -> Result<serde_json::Value, SourceError> {
        unreachable!("only fees are asked for")
    }
    fn signals(&self) -> Option<Signals> {
        None
    }
}

/// A hundred requests at once; the number of those that got fees, and of the requests to the node so far.
async fn ask(fees: &Arc<FeeSource>, node: &Slow) -> (usize, usize) {
    let mut clients = JoinSet::new();
    for _ in 0..100 {
        let fees = Arc::clone(fees);
        clients.spawn(async move { fees.fees().await.is_ok() });
    }
    let answered = clients.join_all().await.into_iter().filter(|ok| *ok).count();
    (answered, node.requests.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn the_node_is_asked_once_for_all_who_ask_within_ten_seconds() {
    let node = Arc::<Slow>::default();
    let fees = Arc::new(FeeSource::new(Arc::clone(&node) as _));
    assert_eq!(ask(&fees, &node).await, (100, 1));
    tokio::time::advance(FRESH - Duration::from_millis(1)).await;
    assert_eq!(ask(&fees, &node).await, (100, 1));
    tokio::time::advance(Duration::from_millis(1)).await;
    // All who wait get the error of the one request, and the next ones another answer.
    assert_eq!(ask(&fees, &node).await, (0, 2));
    tokio::time::advance(FRESH_ERROR).await;
    assert_eq!(ask(&fees, &node).await, (100, 3));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_leaves_the_request_to_the_next_one() {
    let node = Arc::<Slow>::default();
    let fees = FeeSource::new(Arc::clone(&node) as _);
    assert!(
        tokio::time::timeout(Duration::from_millis(500), fees.fees())
            .await
            .is_err()
    );
    assert!(fees.fees().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn rates_are_exact_to_a_thousandth_and_unknown_ones_null() {
    let fees = FeeSource::new(Arc::<Slow>::default()).fees().await.unwrap();
    let shown = serde_json::to_value(&*fees).unwrap();
    assert_eq!(
        shown["estimates"].to_string(),
        concat!(
            r#"[{"blocks":1,"sat_per_vbyte":100.001},{"blocks":2,"sat_per_vbyte":50.0},"#,
            r#"{"blocks":3,"sat_per_vbyte":33.333},{"blocks":4,"sat_per_vbyte":25.0},{"blocks":5,"sat_per_vbyte":20.0},"#,
            r#"{"blocks":10,"sat_per_vbyte":10.0},{"blocks":25,"sat_per_vbyte":4.0},{"blocks":50,"sat_per_vbyte":null}]"#
        )
    );
    assert_eq!((fees.mempool_minimum, fees.relay_minimum), (1.0, 0.1));
}
