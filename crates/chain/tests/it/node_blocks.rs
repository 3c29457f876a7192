//! Blocks of a real node, over REST and over RPC.

use crate::node::{DEADLINE, anyones, logged, source, spend_anyones};
use bitcoin::{Amount, BlockHash, hashes::Hash as _};
use sdk_relay_chain::{ChainSource as _, SourceError};
use serde_json::json;
use testkit::{Bitcoind, InputKind, Options, Payer, eventually};

fn logging(rest: bool) -> Options {
    Options {
        rest,
        args: vec!["-debug=http".to_owned()],
        ..Options::default()
    }
}

#[tokio::test]
async fn rest_and_rpc_give_equal_blocks_and_one_source_changes_between_them() {
    // Of its own: it is restarted.
    let mut node = Bitcoind::start(logging(true)).await;
    let mut payer = Payer::funded(&node).await;
    let amount = Amount::from_sat(2_000_000);
    let mixed: &[InputKind] = &InputKind::ALL;
    for kinds in [mixed, &[InputKind::P2pkh], &[InputKind::P2tr, InputKind::P2tr]] {
        let tx = payer.pay(kinds, &[(anyones(), amount)]);
        let txid = node.send_raw(&tx).await;
        // A child in the same block: its prevout is never in the UTXO set between blocks.
        node.send_raw(&spend_anyones(bitcoin::OutPoint { txid, vout: 0 }, amount))
            .await;
    }
    node.mine(1).await;

    let source = source(&node);
    let height = source.tip().await.unwrap().height;
    let mut over_rest = Vec::new();
    for height in 0..=height {
        let hash = source.hash_at(height).await.unwrap().unwrap();
        over_rest.push(source.block(hash).await.unwrap());
    }
    assert_eq!(source.hash_at(height + 1).await.unwrap(), None);
    assert_eq!(
        logged(&node, "request for /rest/spenttxouts/"),
        height as usize + 2,
        "one for each block, and the first probe"
    );

    node.stop().await;
    node.start_again_with(logging(false)).await;
    let before = logged(&node, "request for /rest/");
    for (height, rest) in over_rest.iter().enumerate() {
        let hash = rest.block.block_hash();
        let rpc = source.block(hash).await.unwrap();
        assert_eq!(rpc.block, rest.block, "height {height}");
        assert_eq!(rpc.prevouts, rest.prevouts, "height {height}");
        assert_eq!(rpc.size, rest.size);
        let info = source.block_info(hash).await.unwrap();
        assert_eq!(
            (info["size"].as_u64(), info["height"].as_u64()),
            (Some(rest.size as u64), Some(height as u64))
        );
    }
    assert!(
        logged(&node, "request for /rest/") <= before + 3,
        "REST was requested repeatedly"
    );

    let spent: Vec<_> = over_rest
        .last()
        .unwrap()
        .prevouts
        .iter()
        .flatten()
        .map(|out| &out.script_pubkey)
        .collect();
    assert!(spent.iter().any(|s| s.is_p2wpkh()) && spent.iter().any(|s| s.is_p2pkh()));
    assert!(
        spent.iter().any(|s| s.is_p2sh()) && spent.iter().any(|s| s.is_p2tr()) && spent.iter().any(|s| s.is_p2wsh())
    );
}

#[tokio::test]
async fn unknown_and_pruned_blocks_are_distinguished() {
    let options = |rest| Options {
        prune: Some(1),
        args: vec!["-fastprune".to_owned()],
        ..logging(rest)
    };
    // Of its own: it is restarted.
    let mut node = Bitcoind::start(options(true)).await;
    // Files of 64 KiB, of which those are kept that hold one of the last 288 blocks.
    node.mine(900).await;
    node.rpc().call("pruneblockchain", json!([600])).await.unwrap();
    let source = source(&node);
    let status = source.status().await.unwrap();
    assert_eq!(
        (status.chain.as_str(), status.tip.height, status.headers),
        ("regtest", 900, 900)
    );
    let lowest = status.prune_height.unwrap();
    assert!(lowest > 1, "nothing was pruned");

    let unknown = BlockHash::from_byte_array([7; 32]);
    for rest in [true, false] {
        if !rest {
            node.stop().await;
            node.start_again_with(options(false)).await;
            eventually(DEADLINE, "the node's answer", async || source.tip().await.ok()).await;
        }
        let pruned = source.hash_at(1).await.unwrap().unwrap();
        assert!(matches!(source.block(pruned).await, Err(SourceError::Pruned(hash)) if hash == pruned));
        assert!(matches!(source.block_info(pruned).await, Err(SourceError::Pruned(hash)) if hash == pruned));
        assert!(matches!(source.block(unknown).await, Err(SourceError::NoSuchBlock(hash)) if hash == unknown));
        assert!(matches!(source.block_info(unknown).await, Err(SourceError::NoSuchBlock(hash)) if hash == unknown));
        let kept = source.hash_at(lowest).await.unwrap().unwrap();
        assert_eq!(source.block(kept).await.unwrap().block.block_hash(), kept);
    }
}
