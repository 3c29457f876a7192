//! Twenty kills while the index is being built: each start continues where the previous one ended, and the final index
//! is correct.

use std::path::Path;
use std::time::Duration;

use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::{Rng, SeedableRng};
use sdk_relay_store::TweakIndex;
use testkit::{Bitcoind, Options, Payer, RelayOptions, RelayProcess, eventually, http_get};

use crate::index::kinds::random_blocks;
use crate::index::mint::Mint;
use crate::index::scene::{DEADLINE, assert_is_of_chain};

const SEED: u64 = 20;
const KILLS: usize = 20;
/// Minimum number of kills before the index reached the tip.
const IN_MID_BUILD: usize = 15;
const RANDOM_BLOCKS: usize = 60;
/// Blocks that are missing at each start, of which a hundred are committed together.
const MISSING: u32 = 250;
/// A kill comes after no commit or one, and then at a random moment of about the next one.
const COMMITS: u32 = 1;
const LATEST_MS: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_during_the_build() {
    // Of its own: it gets thousands of blocks, of which many are disconnected.
    let node = Bitcoind::start(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    let mut rng = StdRng::seed_from_u64(SEED);
    let mint = Mint::new();
    random_blocks(&node, &mut payer, &mint, &mut rng, RANDOM_BLOCKS).await;
    let paid = node.height().await;
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node);
    let (mut reached, mut in_mid_build, mut grew) = (0, 0, 0);
    for kill in 0..KILLS {
        let missing = node.height().await - reached;
        if missing < MISSING {
            node.mine(MISSING - missing).await;
        }
        if kill % 5 == 4 {
            // The next start also meets a reorganisation: two indexed blocks and all above are invalidated.
            let fork = node.hash_at((reached.saturating_sub(1)).max(paid + 1)).await;
            node.invalidate(fork).await;
            node.mine(MISSING).await;
        }
        let mut relay = RelayProcess::start_listening(options.clone()).await;
        let wanted = reached + rng.gen_range(0..=COMMITS) * 100;
        let committed = async || (height_of(&relay).await >= wanted).then_some(());
        eventually(DEADLINE, format!("block {wanted} in the index"), committed).await;
        // Not a wait for a condition: the moment of the kill.
        tokio::time::sleep(Duration::from_millis(rng.gen_range(0..LATEST_MS))).await;
        relay.kill9();
        let before = reached;
        reached = height_in_copy(&relay.data_dir().join("index"));
        in_mid_build += usize::from(reached < node.height().await);
        grew += usize::from(reached > before);
    }
    println!("{in_mid_build} of {KILLS} kills in mid-build, {grew} after a commit");
    assert!(in_mid_build >= IN_MID_BUILD, "{in_mid_build} of {KILLS}");
    assert!(grew >= KILLS / 4, "{grew} of {KILLS}");

    let mut relay = RelayProcess::start(options.clone()).await;
    let height = node.height().await;
    eventually(DEADLINE, "the index at the tip", async || {
        let health = http_get(&format!("{}/health", relay.http_url())).await.json();
        (health["index"]["state"] == "current" && health["index"]["height"] == height).then_some(())
    })
    .await;
    relay.terminate().await;
    let index = TweakIndex::open(&relay.data_dir().join("index"), "regtest", 0).unwrap();
    assert_is_of_chain(&index, &node, 0).await;
}

/// Height of the index of a running relay.
async fn height_of(relay: &RelayProcess) -> u32 {
    let health = http_get(&format!("{}/health", relay.http_url())).await.json();
    health["index"]["height"]
        .as_u64()
        .map_or(0, |height| u32::try_from(height).unwrap())
}

/// Height of the index of a killed relay. Opens a copy, because opening repairs the files.
fn height_in_copy(index: &Path) -> u32 {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(index).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let index = TweakIndex::open(copy.path(), "regtest", 0).unwrap();
    index.tip().unwrap().map_or(0, |tip| tip.height)
}
