//! Every kind of input there is, in two hundred random blocks, through reorganisations: the index equals the result of
//! an independent implementation for the chain of the node.

use bitcoin::secp256k1::SecretKey;
use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::seq::SliceRandom;
use bitcoin::secp256k1::rand::{Rng, SeedableRng};
use testkit::{Bitcoind, Options, Payer};

use crate::index::mint::{Kind, Mint, taproot, taproot_of};
use crate::index::scene::{Indexing, assert_is_of_chain};

const RANDOM_BLOCKS: usize = 200;

/// Each kind alone and together with an eligible input, then pairs whose keys cancel out. Panics if the chain does not
/// contain the expected transactions.
async fn fixed_blocks(node: &Bitcoind, payer: &mut Payer, mint: &Mint) {
    let x = [7; 32];
    for kind in Kind::ALL {
        let coins = mint
            .coins(node, payer, &[(kind, None), (kind, None), (Kind::Wpkh, None)])
            .await;
        let alone = mint.spend(&coins[..1], vec![taproot(x)]);
        let beside = mint.spend(&coins[1..], vec![taproot(x), taproot(x)]);
        node.mine_with(&[alone, beside]).await;
        let indexed = crate::index::slow::block(node, node.height().await).await;
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
    let indexed = crate::index::slow::block(node, node.height().await).await;
    let txids: Vec<_> = indexed.transactions.iter().map(|t| t.txid).collect();
    assert_eq!(txids, [through_infinity.compute_txid()]);
    // A coinbase with a taproot output is not eligible.
    let key = SecretKey::from_slice(&[8; 32]).unwrap();
    node.mine_to(1, &format!("raw({})", taproot_of(&key).to_hex_string()))
        .await;
}

/// Blocks of none to three transactions with one to four inputs of any kind.
pub(crate) async fn random_blocks(node: &Bitcoind, payer: &mut Payer, mint: &Mint, rng: &mut StdRng, blocks: usize) {
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
    // Of its own: it gets blocks that take long to index.
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

    // All random blocks are invalidated and replaced.
    let fork = node
        .hash_at(node.height().await - u32::try_from(RANDOM_BLOCKS).unwrap())
        .await;
    node.invalidate(fork).await;
    random_blocks(&node, &mut payer, &mint, &mut rng, 5).await;
    indexing.caught_up(&node).await;
    assert_is_of_chain(&indexing.index, &node, 0).await;
    // And back: the higher chain is the best one again.
    node.reconsider(fork).await;
    indexing.caught_up(&node).await;
    assert_is_of_chain(&indexing.index, &node, 0).await;
}
