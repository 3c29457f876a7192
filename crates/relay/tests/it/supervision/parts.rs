//! Child tasks of parts: a panic in one is propagated to the part, and so to the supervisor.

use std::sync::Arc;

use async_trait::async_trait;
use bitcoin::{BlockHash, OutPoint, Transaction, Txid};
use sdk_relay_bip352::{Engine, Fast, Scanner};
use sdk_relay_chain::follower::{Follower, FollowerOptions, Start};
use sdk_relay_chain::{
    BlockRef, BlockWithPrevouts, BroadcastError, ChainSource, FeeRates, MempoolSnapshot, MempoolTx, NodeInfo, Signals,
    SourceError, SourceStatus,
};
use sdk_relay_devchain::DevChain;
use sdk_relay_index::{Builder, Pool};
use sdk_relay_service::Failure;
use sdk_relay_store::TweakIndex;
use sdk_relay_supervisor::Supervisor;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::supervision::DEADLINE;

/// The development chain, but for one question, whose answer is a panic.
struct Panics {
    chain: Arc<DevChain>,
    at: &'static str,
}

impl Panics {
    fn at(&self, question: &str) {
        assert!(self.at != question, "a fault of the test in {question}");
    }
}

#[async_trait]
impl ChainSource for Panics {
    async fn status(&self) -> Result<SourceStatus, SourceError> {
        self.at("status");
        self.chain.status().await
    }

    async fn tip(&self) -> Result<BlockRef, SourceError> {
        self.at("tip");
        self.chain.tip().await
    }

    async fn hash_at(&self, height: u32) -> Result<Option<BlockHash>, SourceError> {
        self.at("hash_at");
        self.chain.hash_at(height).await
    }

    async fn block(&self, hash: BlockHash) -> Result<BlockWithPrevouts, SourceError> {
        self.at("block");
        self.chain.block(hash).await
    }

    async fn mempool(&self) -> Result<MempoolSnapshot, SourceError> {
        self.at("mempool");
        self.chain.mempool().await
    }

    async fn transactions(&self, wanted: &[Txid], known: Vec<Transaction>) -> Result<Vec<MempoolTx>, SourceError> {
        self.chain.transactions(wanted, known).await
    }

    async fn spenders(&self, outpoints: &[OutPoint]) -> Result<Vec<Option<Txid>>, SourceError> {
        self.chain.spenders(outpoints).await
    }

    async fn broadcast(&self, tx: &Transaction) -> Result<Txid, BroadcastError> {
        self.chain.broadcast(tx).await
    }

    async fn info(&self) -> Result<NodeInfo, SourceError> {
        self.chain.info().await
    }

    async fn fee_rates(&self, targets: &[u16]) -> Result<FeeRates, SourceError> {
        self.chain.fee_rates(targets).await
    }

    async fn block_info(&self, hash: BlockHash) -> Result<serde_json::Value, SourceError> {
        self.chain.block_info(hash).await
    }

    fn signals(&self) -> Option<Signals> {
        if self.at != "signals" {
            return self.chain.signals();
        }
        // The sender is dropped with the task, as in the ZMQ reader.
        let (sender, receiver) = mpsc::channel(1);
        let reader = async move {
            let _sender = sender;
            panic!("a fault of the test in signals");
        };
        Some(Signals::read_by(reader, receiver))
    }
}

/// Which part, and the question of its own task at which that panics.
const KINDS: [(&str, &str); 7] = [
    ("follower", "status"),
    ("follower", "mempool"),
    ("follower", "signals"),
    ("index", "status"),
    // These two methods are called by the tasks that fetch blocks ahead.
    ("index", "hash_at"),
    ("index", "block"),
    // The index has its tweaks computed on threads of its own.
    ("index threads", "tweaks"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_any_task_of_a_part_ends_the_part() {
    for (part, question) in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let chain = DevChain::open(dir.path()).unwrap();
        let whole = Arc::new(Panics {
            chain: Arc::clone(&chain),
            at: "nowhere",
        });
        let panics: Arc<dyn ChainSource> = Arc::new(Panics { chain, at: question });
        let of_follower = if part == "follower" { Arc::clone(&panics) } else { whole };
        let supervisor = Supervisor::default();
        let (follower, mut events) = Follower::spawn(of_follower, Start::default(), FollowerOptions::default());
        tokio::spawn(async move { while events.recv().await.is_some() {} });
        let status = follower.status();
        supervisor.task("follower", follower.ended());
        if part != "follower" {
            let index = Arc::new(TweakIndex::open(&dir.path().join("index"), "regtest", 0).unwrap());
            let fails = supervisor.clone();
            let pool = Pool::with_panic_handler(1, move || {
                fails.fail(Failure {
                    part: "index threads",
                    panicked: true,
                });
            });
            let engine: Arc<dyn Engine> = match question {
                "tweaks" => Arc::new(crate::supervision::PanicsInTweaks),
                _ => Arc::new(Fast::new()),
            };
            let scanner = Scanner::new(engine, |_, _| {});
            let (builder, ..) = Builder::new(index, panics, Arc::new(pool.unwrap()), scanner, status).unwrap();
            supervisor.task("index", builder.run());
        }
        let failure = timeout(DEADLINE, supervisor.failed()).await;
        let failure = failure.unwrap_or_else(|_| panic!("{part}: the panic in {question} was swallowed"));
        assert_eq!((failure.part, failure.panicked), (part, true), "{question}");
        assert_eq!(supervisor.stop(DEADLINE).await, Vec::<&str>::new());
    }
}
