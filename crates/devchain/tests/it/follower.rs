//! The follower on the development chain: everything that happens there becomes events, in order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::{Amount, Txid};
use sdk_relay_chain::follower::{Follower, FollowerOptions, Start};
use sdk_relay_chain::{BlockRef, ChainEvent, ChainSource, Observed};
use sdk_relay_devchain::DevChain;
use testkit::Payee;
use tokio::sync::mpsc::Receiver;

const DEADLINE: Duration = Duration::from_secs(20);

/// What a consumer of the stream knows.
struct Known {
    events: Receiver<Observed>,
    blocks: Vec<BlockRef>,
    mempool: BTreeSet<Txid>,
}

impl Known {
    /// Applies events until the known state equals that of the chain.
    async fn catch_up(&mut self, chain: &DevChain) {
        let (tip, waiting) = (chain.tip().await.unwrap(), chain.mempool().await.unwrap().txids);
        let waiting = waiting.into_iter().collect();
        let reached = async {
            while self.blocks.last() != Some(&tip) || self.mempool != waiting {
                let event = self.events.recv().await.unwrap().event;
                self.apply(event);
            }
        };
        let outcome = tokio::time::timeout(DEADLINE, reached).await;
        assert!(
            outcome.is_ok(),
            "known: {:?} {:?}, the chain: {tip:?} {waiting:?}",
            self.blocks.last(),
            self.mempool
        );
    }

    fn apply(&mut self, event: ChainEvent) {
        match event {
            ChainEvent::BlockConnected { at, block } => {
                assert_eq!(block.block.header.prev_blockhash, self.blocks.last().unwrap().hash);
                assert_eq!(block.prevouts.len(), block.block.txdata.len());
                for tx in block.block.txdata.iter().skip(1) {
                    self.mempool.remove(&tx.compute_txid());
                }
                self.blocks.push(at);
            }
            ChainEvent::BlockDisconnected { at, parent } => {
                assert_eq!(self.blocks.pop(), Some(at));
                assert_eq!(self.blocks.last(), Some(&parent));
            }
            ChainEvent::TxsEntered(txs) => self.mempool.extend(txs.iter().map(|tx| tx.txid)),
            ChainEvent::TxLeft { txid, .. } => assert!(self.mempool.remove(&txid)),
            ChainEvent::MempoolSynced => {}
            ChainEvent::Jumped { at } => panic!("a hole before {at:?}"),
        }
    }
}

#[tokio::test]
async fn payments_blocks_reorganisations_and_replacements_are_followed() {
    let dir = tempfile::tempdir().unwrap();
    let chain = DevChain::open(dir.path()).unwrap();
    let tips = [chain.tip().await.unwrap().height - 1, chain.tip().await.unwrap().height];
    let mut recent = Vec::new();
    for height in tips {
        let hash = chain.hash_at(height).await.unwrap().unwrap();
        recent.push(BlockRef { height, hash });
    }
    let start = Start { recent: recent.clone() };
    let (_follower, events) = Follower::spawn(
        Arc::clone(&chain) as Arc<dyn ChainSource>,
        start,
        FollowerOptions::default(),
    );
    let mut known = Known {
        events,
        blocks: recent,
        mempool: BTreeSet::new(),
    };
    let address = Payee::new(&[]).address().to_string();
    for round in 1..6 {
        let first = chain.pay(&address, Amount::from_sat(100_000)).unwrap();
        chain.pay(&address, Amount::from_int_btc(60)).unwrap();
        known.catch_up(&chain).await;
        chain.replace(first).unwrap();
        known.catch_up(&chain).await;
        chain.mine(round).unwrap();
        chain.pay(&address, Amount::from_sat(100_000)).unwrap();
        chain.reorg(round).unwrap();
        known.catch_up(&chain).await;
        chain.mine(1).unwrap();
        known.catch_up(&chain).await;
    }
    assert!(known.mempool.is_empty());
}
