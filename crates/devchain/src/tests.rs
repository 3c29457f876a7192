//! The public API of the development chain: payments, blocks, signals, and their persistence.

mod crash;
mod money;
mod random;

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use bitcoin::{OutPoint, Transaction};
use sdk_relay_bip352::address::Network;
use sdk_relay_bip352::{EligibleTx, scan};
use tempfile::TempDir;
use testkit::Payee;

use super::*;
use sdk_relay_chain::{BroadcastError, ChainSource, Signal, Signals, SourceError};

const SATS: Amount = Amount::from_sat(100_000);

fn new_chain() -> (TempDir, Arc<DevChain>) {
    let dir = tempfile::tempdir().unwrap();
    let chain = DevChain::open(dir.path()).unwrap();
    (dir, chain)
}

/// The chain reopened from its file. The chain must be dropped: its file is locked.
fn reopened(dir: &TempDir, chain: Arc<DevChain>) -> Arc<DevChain> {
    drop(chain);
    DevChain::open(dir.path()).unwrap()
}

fn any_address() -> String {
    Payee::new(&[]).address().to_string()
}

async fn mempool_tx(chain: &DevChain, txid: Txid) -> sdk_relay_chain::MempoolTx {
    chain.transactions(&[txid], Vec::new()).await.unwrap().remove(0)
}

fn received(signals: &mut Signals) -> Vec<Signal> {
    std::iter::from_fn(|| signals.try_recv().ok()).collect()
}

fn entered(tx: &Transaction, sequence: u64) -> Signal {
    Signal::Entered {
        txid: tx.compute_txid(),
        tx: Some(Box::new(tx.clone())),
        sequence,
    }
}

#[tokio::test]
async fn a_new_chain_has_coins_of_every_kind() {
    let (dir, chain) = new_chain();
    let status = chain.status().await.unwrap();
    assert_eq!((status.chain.as_str(), status.tip.height), ("regtest", FIRST_BLOCKS));
    assert_eq!(chain.balance(), Amount::from_int_btc(20 * 50));
    let state = chain.state();
    let kinds: HashSet<_> = state
        .ledger
        .coins()
        .filter_map(|(_, coin)| state.wallet.kind_of(&coin.txout.script_pubkey))
        .collect();
    assert_eq!(kinds.len(), 4);
    let file = dir.path().join(FILE_NAME).metadata().unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn silent_payments_are_found_in_the_mempool_and_in_the_block() {
    let (_dir, chain) = new_chain();
    let payee = Payee::new(&[7]);
    for (address, label) in [
        (payee.address(), None),
        (payee.labelled_address(7), Some(7)),
        (payee.receiver().address(Network::Regtest), None),
    ] {
        let txid = chain.pay(&address.to_string(), SATS).unwrap();
        let waiting = mempool_tx(&chain, txid).await;
        let eligible = EligibleTx::from_tx(&waiting.tx, &waiting.prevouts).unwrap();
        let found = scan(&payee.receiver(), &eligible);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].vout, found[0].amount, found[0].label), (0, SATS, label));

        let hash = chain.mine(1).unwrap()[0];
        let mined = chain.block(hash).await.unwrap();
        assert_eq!(mined.block.txdata[1].compute_txid(), txid);
        assert_eq!(mined.prevouts, [Vec::new(), waiting.prevouts]);
        assert_eq!(chain.mempool().await.unwrap().txids, []);
    }
}

#[tokio::test]
async fn every_receiver_gets_all_signals_in_order() {
    let (_dir, chain) = new_chain();
    let mut ears = [chain.signals().unwrap(), chain.signals().unwrap()];
    let first = chain.pay(&any_address(), SATS).unwrap();
    let first = mempool_tx(&chain, first).await.tx;
    let replacing = chain.replace(first.compute_txid()).unwrap();
    let replacing = mempool_tx(&chain, replacing).await.tx;
    chain.mine(2).unwrap();
    chain.reorg(2).unwrap();
    let expected = [
        entered(&first, 1),
        Signal::Left {
            txid: first.compute_txid(),
            sequence: 2,
        },
        entered(&replacing, 3),
        Signal::Chain,
        Signal::Chain,
        Signal::Chain,
        entered(&replacing, 4),
    ];
    for ear in &mut ears {
        assert_eq!(received(ear), expected);
    }
    let snapshot = chain.mempool().await.unwrap();
    assert_eq!((snapshot.txids, snapshot.sequence), (vec![replacing.compute_txid()], 4));
}

#[tokio::test]
async fn a_reorganisation_keeps_the_old_blocks_and_the_transactions() {
    let (dir, chain) = new_chain();
    let parent = chain.pay(&any_address(), Amount::from_int_btc(900)).unwrap();
    // There is no other coin left that is large enough: this spends the first one's change.
    let child = chain.pay(&any_address(), Amount::from_int_btc(60)).unwrap();
    let old = chain.mine(3).unwrap();
    let new = chain.reorg(3).unwrap();
    assert_eq!(new.len(), 4);
    assert_eq!(chain.tip().await.unwrap().height, FIRST_BLOCKS + 4);
    assert_eq!(chain.hash_at(FIRST_BLOCKS + 1).await.unwrap(), Some(new[0]));
    assert_eq!(chain.block(old[0]).await.unwrap().block.txdata.len(), 3);
    assert_eq!(chain.block_info(old[0]).await.unwrap()["confirmations"], -1);
    assert_eq!(chain.mempool().await.unwrap().txids, [parent, child]);
    let spent = mempool_tx(&chain, child).await.tx.input[0].previous_output;
    assert_eq!(
        chain.spenders(&[spent, OutPoint::null()]).await.unwrap(),
        [Some(child), None]
    );

    let chain = reopened(&dir, chain);
    assert_eq!(chain.block(old[0]).await.unwrap().block.txdata.len(), 3);
    let hash = chain.mine(1).unwrap()[0];
    assert_eq!(chain.block(hash).await.unwrap().block.txdata.len(), 3);
}

#[test]
fn a_reorganisation_has_a_depth() {
    let (_dir, chain) = new_chain();
    for depth in [0, MAX_REORG + 1, u32::MAX] {
        let refused = chain.reorg(depth);
        assert!(matches!(refused, Err(ReorgError::Depth { requested, most: MAX_REORG }) if requested == depth));
    }
    assert_eq!(chain.reorg(MAX_REORG).unwrap().len(), 101);
    assert!(matches!(chain.mine(MAX_MINED + 1), Err(MineError::TooMany { .. })));
}

#[tokio::test]
async fn unknown_blocks_and_transactions_are_reported_as_unknown() {
    let (_dir, chain) = new_chain();
    let nothing = bitcoin::hashes::Hash::all_zeros();
    assert!(matches!(chain.block(nothing).await, Err(SourceError::NoSuchBlock(_))));
    assert!(matches!(
        chain.block_info(nothing).await,
        Err(SourceError::NoSuchBlock(_))
    ));
    assert_eq!(chain.hash_at(FIRST_BLOCKS + 1).await.unwrap(), None);
    let txid = bitcoin::hashes::Hash::all_zeros();
    assert!(chain.transactions(&[txid], Vec::new()).await.unwrap().is_empty());
    assert!(matches!(chain.replace(txid), Err(ReplaceError::NotInMempool(_))));
}

#[test]
fn one_process_at_a_time() {
    let (dir, chain) = new_chain();
    assert!(matches!(DevChain::open(dir.path()), Err(DevChainError::InUse(_))));
    reopened(&dir, chain);
}

#[tokio::test(start_paused = true)]
async fn automatic_mining_ends_with_its_handle() {
    let (_dir, chain) = new_chain();
    let mut signals = chain.signals().unwrap();
    let begun = tokio::time::Instant::now();
    let mining = chain.auto_mine(Duration::from_secs(10));
    for _ in 0..3 {
        assert_eq!(signals.recv().await, Some(Signal::Chain));
    }
    assert_eq!(begun.elapsed(), Duration::from_secs(30));
    drop(mining);
    tokio::time::advance(Duration::from_secs(100)).await;
    assert_eq!(chain.tip().await.unwrap().height, FIRST_BLOCKS + 3);
}

#[tokio::test]
async fn the_reason_for_a_rejected_transaction_reaches_the_sender() {
    let (_dir, chain) = new_chain();
    let txid = chain.pay(&any_address(), SATS).unwrap();
    let mut tx = mempool_tx(&chain, txid).await.tx;
    tx.input[0].previous_output.vout = 9;
    let refused = chain.broadcast(&tx).await;
    assert!(matches!(refused, Err(BroadcastError::Rejected(reason)) if reason == "bad-txns-inputs-missingorspent"));
}
