//! The index equals the result of an independent implementation for the chain of the node.

use testkit::{Bitcoind, InputKind, Options, Payee, Payer, Recipient};

use crate::index::scene::{Indexing, assert_is_of_chain};

/// A payment of each kind, mined, and one that spends a silent payment's neighbour.
async fn pay_all_kinds(node: &Bitcoind, payer: &mut Payer) {
    let payee = Payee::new(&[1]);
    for kind in InputKind::ALL {
        let to = [
            Recipient::Silent(payee.address(), bitcoin::Amount::from_sat(20_000)),
            Recipient::Silent(payee.labelled_address(1), bitcoin::Amount::from_sat(30_000)),
        ];
        let one = payer.pay(&[kind], &to);
        let two = payer.pay(&[kind, InputKind::P2tr], &to[..1]);
        node.mine_with(&[one, two]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_follows_the_chain_through_reorganisations() {
    // Of its own: blocks below those of this test are disconnected.
    let node = Bitcoind::start(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    pay_all_kinds(&node, &mut payer).await;
    let dir = tempfile::tempdir().unwrap();
    let mut indexing = Indexing::start(&node, dir.path(), 0);
    indexing.caught_up(&node).await;
    let before = assert_is_of_chain(&indexing.index, &node, 0).await;
    assert!(before.iter().map(|b| b.transactions.len()).sum::<usize>() >= 8);

    for depth in [1, 3, 40] {
        pay_all_kinds(&node, &mut payer).await;
        indexing.caught_up(&node).await;
        let fork = node.hash_at(node.height().await + 1 - depth).await;
        node.invalidate(fork).await;
        node.mine(depth + 1).await;
        indexing.caught_up(&node).await;
        assert_is_of_chain(&indexing.index, &node, 0).await;
    }
    // A chain that is lower than the previous one.
    let fork = node.hash_at(node.height().await - 5).await;
    node.invalidate(fork).await;
    indexing.caught_up(&node).await;
    assert_is_of_chain(&indexing.index, &node, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_pruned_past_the_tip_restarts_the_index() {
    // Block files are pruned as a whole; this test option of the node limits them to 64 KiB.
    // Of its own: it is pruned.
    let node = Bitcoind::start(Options {
        prune: Some(1),
        args: vec!["-fastprune".to_owned()],
        ..Options::default()
    })
    .await;
    let mut payer = Payer::funded(&node).await;
    let dir = tempfile::tempdir().unwrap();
    let mut indexing = Indexing::start(&node, dir.path(), 0);
    indexing.caught_up(&node).await;
    assert_is_of_chain(&indexing.index, &node, 0).await;
    let before = node.height().await;
    indexing.stop().await;

    node.mine(800).await;
    pay_all_kinds(&node, &mut payer).await;
    let pruned = node
        .rpc()
        .call("pruneblockchain", serde_json::json!([600]))
        .await
        .unwrap();
    let kept = node
        .rpc()
        .call("getblockchaininfo", serde_json::json!([]))
        .await
        .unwrap()["pruneheight"]
        .clone();
    let kept = u32::try_from(kept.as_u64().unwrap()).unwrap();
    assert!(kept > before + 1, "{kept}, {pruned}");
    let mut indexing = Indexing::start(&node, dir.path(), 0);
    indexing.caught_up(&node).await;
    assert_is_of_chain(&indexing.index, &node, kept).await;
    assert_eq!(indexing.status.borrow().first, kept);
    indexing.stop().await;
    // It stays so: it lacks no block that the node has.
    let mut indexing = Indexing::start(&node, dir.path(), 0);
    indexing.caught_up(&node).await;
    assert_is_of_chain(&indexing.index, &node, kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_during_a_downtime_is_followed_at_the_start() {
    // Of its own: blocks below those of this test are disconnected.
    let node = Bitcoind::start(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    let dir = tempfile::tempdir().unwrap();
    let start = node.height().await - 2;
    let mut indexing = Indexing::start(&node, dir.path(), start);
    pay_all_kinds(&node, &mut payer).await;
    indexing.caught_up(&node).await;
    assert_is_of_chain(&indexing.index, &node, start).await;
    indexing.stop().await;
    node.invalidate(node.hash_at(start + 3).await).await;
    node.mine(2).await;
    let mut indexing = Indexing::start(&node, dir.path(), start);
    indexing.caught_up(&node).await;
    assert_is_of_chain(&indexing.index, &node, start).await;

    // Down to below its first block: no block of it remains valid.
    node.invalidate(node.hash_at(start - 1).await).await;
    node.mine(9).await;
    indexing.caught_up(&node).await;
    assert_is_of_chain(&indexing.index, &node, start).await;
}
