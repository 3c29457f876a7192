//! Every kind of input there is, in two hundred random blocks, through reorganisations and twenty kills: the index is what others' code
//! makes of the node's chain.

use std::sync::Arc;

use bitcoin::secp256k1::SecretKey;
use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::seq::SliceRandom;
use bitcoin::secp256k1::rand::{Rng, SeedableRng};
use sdk_relay_store::TweakIndex;
use testkit::{Bitcoind, Options, Payer, RelayOptions, RelayProcess, http_get};
use tokio::time::{interval, timeout};

use crate::mint::{Kind, Mint, taproot, taproot_of};
use crate::scene::{DEADLINE, Indexing, assert_is_of_chain};

const RANDOM_BLOCKS: usize = 200;
const KILLS: u32 = 20;

/// Each kind alone and beside a key that counts, then pairs whose keys cancel out. Panics where the chain does not hold what it should.
async fn fixed_blocks(node: &Bitcoind, payer: &mut Payer, mint: &Mint) {
    let x = [7; 32];
    for kind in Kind::ALL {
        let coins = mint
            .coins(node, payer, &[(kind, None), (kind, None), (Kind::Wpkh, None)])
            .await;
        let alone = mint.spend(&coins[..1], vec![taproot(x)]);
        let beside = mint.spend(&coins[1..], vec![taproot(x), taproot(x)]);
        node.mine_with(&[alone, beside]).await;
        let indexed = crate::slow::block(node, node.height().await).await;
        let expected = match kind {
            Kind::Future => 0,
            kind => 1 + usize::from(kind.counts()),
        };
        assert_eq!(indexed.transactions.len(), expected, "{kind:?}");
    }
    let key = SecretKey::from_slice(&[9; 32]).unwrap();
    let pair = [(Kind::Wpkh, Some(key)), (Kind::Pkh, Some(key.negate()))];
    let coins = mint.coins(node, payer, &[pair, pair].concat()).await;
    let more = mint.coins(node, payer, &[(Kind::WrappedWpkh, None)]).await;
    let at_infinity = mint.spend(&coins[..2], vec![taproot(x)]);
    let through_infinity = mint.spend(&[&coins[2..], &more].concat(), vec![taproot(x)]);
    node.mine_with(&[at_infinity, through_infinity.clone()]).await;
    let indexed = crate::slow::block(node, node.height().await).await;
    let txids: Vec<_> = indexed.transactions.iter().map(|t| t.txid).collect();
    assert_eq!(txids, [through_infinity.compute_txid()]);
    // A coinbase with a taproot output pays nobody silently.
    let key = SecretKey::from_slice(&[8; 32]).unwrap();
    node.mine_to(1, &format!("raw({})", taproot_of(&key).to_hex_string()))
        .await;
}

/// Blocks of none to three transactions with one to four inputs of any kind.
async fn random_blocks(node: &Bitcoind, payer: &mut Payer, mint: &Mint, rng: &mut StdRng, blocks: usize) {
    let wanted: Vec<_> = (0..blocks * 6)
        .map(|_| (*Kind::ALL.choose(rng).unwrap(), None))
        .collect();
    let mut coins = mint.coins(node, payer, &wanted).await;
    for _ in 0..blocks {
        let mut txs = Vec::new();
        for _ in 0..rng.gen_range(0..=3) {
            let inputs = rng.gen_range(1..=4).min(coins.len());
            let inputs = coins.split_off(coins.len() - inputs);
            if inputs.is_empty() {
                break;
            }
            let outputs = (0..rng.gen_range(1..=4)).map(|_| match rng.gen_range(0..3) {
                0 => bitcoin::ScriptBuf::new_op_return([1, 2, 3]),
                _ => taproot(rng.r#gen()),
            });
            txs.push(mint.spend(&inputs, outputs.collect()));
        }
        node.mine_with(&txs).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_input_in_random_blocks() {
    let node = Bitcoind::start(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    let mint = Mint::new();
    let seed: u64 = 352;
    let mut rng = StdRng::seed_from_u64(seed);
    fixed_blocks(&node, &mut payer, &mint).await;
    random_blocks(&node, &mut payer, &mint, &mut rng, RANDOM_BLOCKS).await;
    let dir = tempfile::tempdir().unwrap();
    let mut indexing = Indexing::start(&node, dir.path(), 0);
    indexing.caught_up(&node).await;
    let held = assert_is_of_chain(&indexing.index, &node, 0).await;
    let rows: usize = held.iter().map(|b| b.transactions.len()).sum();
    assert!(rows > 150, "{rows} eligible transactions");

    // All random blocks go, and others come.
    let fork = node
        .hash_at(node.height().await - u32::try_from(RANDOM_BLOCKS).unwrap())
        .await;
    node.invalidate(fork).await;
    random_blocks(&node, &mut payer, &mint, &mut rng, 5).await;
    indexing.caught_up(&node).await;
    assert_is_of_chain(&indexing.index, &node, 0).await;
    // And back: the higher chain holds again.
    node.reconsider(fork).await;
    indexing.caught_up(&node).await;
    assert_is_of_chain(&indexing.index, &node, 0).await;
    let expected = indexing.index.blocks(0, usize::MAX).unwrap();
    indexing.stop().await;

    // Kills: each time a bit later, until the index is whole; with an index of the relay's own from the beginning.
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node);
    for kill in 0..KILLS {
        let mut relay = RelayProcess::start_listening(options.clone()).await;
        let wanted = node.height().await * kill / KILLS;
        let reached = async {
            let mut again = interval(std::time::Duration::from_millis(1));
            loop {
                again.tick().await;
                let health = http_get(&format!("{}/health", relay.http_url())).await.json();
                let height = health["index"]["height"].as_u64().unwrap_or(0);
                if health["index"]["state"] != "starting" && height >= u64::from(wanted) {
                    return;
                }
            }
        };
        timeout(DEADLINE, reached).await.expect("the index grows");
        relay.kill9();
        drop(relay);
        // Some of the chain goes while the relay is dead, and others come: the next start meets a reorganisation, too.
        if kill % 5 == 4 {
            node.invalidate(node.hash_at(node.height().await - 2).await).await;
            node.mine(4).await;
        }
    }
    let mut relay = RelayProcess::start(options.clone()).await;
    let height = node.height().await;
    let whole = async {
        let mut again = interval(std::time::Duration::from_millis(20));
        loop {
            again.tick().await;
            let health = http_get(&format!("{}/health", relay.http_url())).await.json();
            if health["index"]["state"] == "current" && health["index"]["height"] == height {
                return;
            }
        }
    };
    timeout(DEADLINE, whole).await.expect("the index comes to the tip");
    let dir = relay.data_dir().join("index");
    relay.terminate().await;
    let index = Arc::new(TweakIndex::open(&dir, "regtest", 0).unwrap());
    let held = assert_is_of_chain(&index, &node, 0).await;
    assert_eq!(held[..expected.len() - 20], expected[..expected.len() - 20]);
}
