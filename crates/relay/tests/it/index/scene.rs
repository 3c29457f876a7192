//! A node, and an index that is built from it in this process.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_bip352::{Fast, Scanner};
use sdk_relay_chain::ChainSource;
use sdk_relay_chain::follower::{Follower, FollowerOptions, Start};
use sdk_relay_chain::node::{NodeConfig, NodeSource, ZmqAddress};
use sdk_relay_chain::rpc::Auth;
use sdk_relay_index::{Builder, IndexState, IndexStatus, Pool};
use sdk_relay_store::TweakIndex;
use sdk_relay_store::index::IndexedBlock;
use testkit::Bitcoind;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::index::slow;

pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) struct Indexing {
    pub(crate) index: Arc<TweakIndex>,
    pub(crate) status: watch::Receiver<IndexStatus>,
    builder: JoinHandle<()>,
    _follower: Follower,
}

impl Drop for Indexing {
    fn drop(&mut self) {
        self.builder.abort();
    }
}

pub(crate) fn source(node: &Bitcoind) -> Arc<dyn ChainSource> {
    let config = NodeConfig {
        rpc_url: node.rpc_url(),
        auth: Auth::CookieFile(node.cookie_file()),
        zmq: ZmqAddress::Reported,
        proxy: None,
    };
    Arc::new(NodeSource::new(config).unwrap())
}

impl Indexing {
    /// Builds the index in this directory, from this node.
    pub(crate) fn start(node: &Bitcoind, dir: &std::path::Path, start_height: u32) -> Self {
        let source = source(node);
        let (follower, mut events) = Follower::spawn(Arc::clone(&source), Start::default(), FollowerOptions::default());
        tokio::spawn(async move { while events.recv().await.is_some() {} });
        let index = Arc::new(TweakIndex::open(dir, "regtest", start_height).unwrap());
        let pool = Arc::new(Pool::new(2).unwrap());
        let scanner = Scanner::new(Arc::new(Fast::new()), |_, error| assert_eq!(error, None));
        let (builder, status, _) = Builder::new(Arc::clone(&index), source, pool, scanner, follower.status()).unwrap();
        Self {
            index,
            status,
            builder: tokio::spawn(builder.run()),
            _follower: follower,
        }
    }

    /// Ends the builder, and closes the index.
    pub(crate) async fn stop(mut self) {
        self.builder.abort();
        drop((&mut self.builder).await);
    }

    /// Waits until the index has reached the tip of the node.
    pub(crate) async fn caught_up(&mut self, node: &Bitcoind) {
        let tip = node.tip().await;
        let held = self
            .status
            .wait_for(|s| s.state == IndexState::Current && s.tip.map(|t| t.hash) == Some(tip));
        if timeout(DEADLINE, held).await.is_err() {
            panic!("the index does not come to the tip: {:?}", self.status.borrow());
        }
    }
}

/// Asserts that the index contains exactly the chain of the node from `first`.
pub(crate) async fn assert_is_of_chain(index: &TweakIndex, node: &Bitcoind, first: u32) -> Vec<IndexedBlock> {
    let mut expected = Vec::new();
    for height in first..=node.height().await {
        expected.push(slow::block(node, height).await);
    }
    for expected in &expected {
        assert_eq!(index.block(expected.height).unwrap().as_ref(), Some(expected));
    }
    let held = index.blocks(first, usize::MAX).unwrap();
    assert_eq!(held, expected.iter().map(without_spent).collect::<Vec<_>>());
    assert_eq!(index.first().unwrap().map(|t| t.height), Some(first));
    // Every output of the index, spent or not.
    let spent: HashSet<_> = expected.iter().flat_map(|b| &b.spent).map(|s| s.outpoint).collect();
    for block in &expected {
        let outputs = block
            .transactions
            .iter()
            .flat_map(|tx| tx.places.iter().map(|p| bitcoin::OutPoint::new(tx.txid, p.vout)));
        let gone: Vec<_> = outputs.map(|outpoint| spent.contains(&outpoint)).collect();
        assert_eq!(index.are_spent(block).unwrap(), gone);
    }
    expected
}

/// The block as a scan reads it.
fn without_spent(block: &IndexedBlock) -> IndexedBlock {
    IndexedBlock {
        spent: Vec::new(),
        ..block.clone()
    }
}
