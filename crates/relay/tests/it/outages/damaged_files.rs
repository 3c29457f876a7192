//! Files of the data directory that are damaged: files that can be recreated are recreated, and others are reported by
//! name.

use std::path::Path;

use bitcoin::Amount;
use sdk_relay_store::TweakIndex;
use sdk_relay_store::index::IndexedBlock;
use testkit::{Bitcoind, InputKind, Options, Payee, Payer, Recipient, RelayOptions, RelayProcess, eventually};

use super::data_dir::refused;
use crate::outages::{health, logged, options, well};
use crate::story::scene::DEADLINE;

const DATABASE: &str = "index/index.redb";
const SET_ASIDE: &str = "index/index.redb.damaged";

/// Ways to damage a file.
fn damaged(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut flipped = bytes.to_vec();
    if let Some(byte) = flipped.get_mut(bytes.len() / 2) {
        *byte ^= 0x80;
    }
    vec![
        ("garbage", vec![0x5a; 5000]),
        ("half of it", bytes[..bytes.len() / 2].to_vec()),
        ("a flipped bit", flipped),
    ]
}

/// All blocks of the index of a relay that has ended.
fn blocks(data_dir: &Path) -> Vec<IndexedBlock> {
    let index = TweakIndex::open(&data_dir.join("index"), "regtest", 0).unwrap();
    assert_eq!(index.rebuild(), None);
    let tip = index.tip().unwrap().unwrap().height;
    (0..=tip).map(|height| index.block(height).unwrap().unwrap()).collect()
}

/// Prime, and larger than a page of the database: of the pages that no checksum covers, one byte is tried, not all.
const STRIDE: usize = 4_099;

/// The database with one byte flipped that its checksums cover: the first of those that the seed and the stride lead
/// to.
fn flipped(whole: &[u8], data_dir: &Path, seed: usize) -> Vec<u8> {
    let places = (0..whole.len()).map(|n| (seed.wrapping_mul(0x9e37_79b1) + n * STRIDE) % whole.len());
    for at in places.filter(|at| whole[*at] != 0) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(data_dir.join("index/000000.rows"), dir.path().join("000000.rows")).unwrap();
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0x41;
        std::fs::write(dir.path().join("index.redb"), &bytes).unwrap();
        if TweakIndex::open(dir.path(), "regtest", 0).unwrap().rebuild().is_some() {
            return bytes;
        }
    }
    panic!("no byte is covered")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_is_moved_aside_and_rebuilt() {
    // Of its own: it is restarted.
    let mut node = Bitcoind::start(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    let payee = Payee::new(&[]);
    for _ in 0..3 {
        let tx = payer.pay(&[InputKind::P2wpkh], &[silent(&payee)]);
        node.mine_with(&[tx]).await;
    }
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let mut relay = RelayProcess::start(options().node(&node).data_dir(dir)).await;
    indexed(&relay, node.height().await).await;
    assert!(relay.terminate().await.success());
    let (path, aside) = (dir.join(DATABASE), dir.join(SET_ASIDE));
    let fresh = blocks(dir);
    let whole = std::fs::read(&path).unwrap();
    let log = std::fs::read(dir.join("relay.redb")).unwrap();
    let mut ways = vec![
        ("garbage".to_owned(), b"garbage".to_vec()),
        ("half of it".to_owned(), whole[..whole.len() / 2].to_vec()),
    ];
    ways.extend((1..3).map(|seed| (format!("flipped byte {seed}"), flipped(&whole, dir, seed))));
    for (n, (way, bytes)) in ways.into_iter().enumerate() {
        // It cannot be built while the node is unavailable: health reports it meanwhile. Once is enough: the node takes
        // seconds to stop and start.
        let is_away = n == 0;
        if is_away {
            node.stop().await;
        }
        std::fs::write(&path, &bytes).unwrap();
        drop(std::fs::remove_file(&aside));
        relay = RelayProcess::start_listening(options().node(&node).data_dir(dir)).await;
        if is_away {
            let (code, found) = health(&relay).await;
            let problem = found.problems.iter().find(|p| p.contains("was damaged and moved to"));
            assert!(problem.is_some_and(|p| p.contains(SET_ASIDE)), "{way}: {found:?}");
            assert_eq!((code, found.status.as_str()), (200, "degraded"), "{way}");
            node.start_again().await;
        }
        indexed(&relay, node.height().await).await;
        well(&relay).await;
        assert_eq!(logged(&relay, "was moved aside"), 1, "{way}: {}", relay.stderr());
        assert!(relay.terminate().await.success(), "{way}");
        assert!(aside.exists(), "{way}");
        assert_eq!(blocks(dir), fresh, "{way}");
    }
    // The event log is kept, whatever happened to the index.
    assert!(std::fs::metadata(dir.join("relay.redb")).unwrap().len() >= log.len() as u64 / 2);
}

fn silent(payee: &Payee) -> Recipient {
    Recipient::Silent(payee.address(), Amount::from_sat(20_000))
}

async fn indexed(relay: &RelayProcess, height: u32) {
    eventually(DEADLINE, format!("an index that holds block {height}"), async || {
        let index = health(relay).await.1.index?;
        (index.state == "current" && index.height == Some(height)).then_some(())
    })
    .await;
}

/// Effect of a damaged file.
enum Then {
    /// The relay starts: the file is recreated, or irrelevant.
    Starts,
    /// The start fails, with the file and the advice.
    Refused(&'static str),
}

#[tokio::test]
async fn each_damaged_file_is_recreated_or_reported_by_name() {
    let first = tempfile::tempdir().unwrap();
    let standalone =
        |dir: &Path| -> RelayOptions { options().arg("--standalone").arg("--tls-self-signed").data_dir(dir) };
    let mut relay = RelayProcess::start(standalone(first.path())).await;
    relay.kill9();
    let files = [
        ("relay.redb", Then::Refused("move the file away")),
        (DATABASE, Then::Starts),
        ("index/000000.rows", Then::Starts),
        ("mesh.names", Then::Starts),
        ("relay.lock", Then::Starts),
        ("tls-self-signed.crt", Then::Starts),
        ("tls-self-signed.key", Then::Starts),
        ("wallet.key", Then::Refused("restore")),
        ("mesh.key", Then::Refused("delete")),
        ("settings.toml", Then::Refused("delete")),
        ("devchain.dat", Then::Refused("")),
    ];
    for (file, then) in files {
        let path = first.path().join(file);
        let whole = std::fs::read(&path).unwrap_or_else(|_| b"a line\n".repeat(20));
        for (way, bytes) in damaged(&whole) {
            let dir = tempfile::tempdir().unwrap();
            copy(first.path(), dir.path());
            // With its mode, which is that of a private file.
            let mut options = std::fs::File::options();
            let file_path = dir.path().join(file);
            options.write(true).create(true).truncate(true);
            std::io::Write::write_all(&mut options.open(&file_path).unwrap(), &bytes).unwrap();
            match then {
                Then::Starts => drop(RelayProcess::start(standalone(dir.path())).await),
                // Not every bit of a database is in use, and a chain without its last record is valid.
                Then::Refused(_) if way != "garbage" && (file.ends_with(".redb") || file.ends_with(".dat")) => {
                    if let Err(ended) = RelayProcess::try_start(standalone(dir.path())).await {
                        assert!(
                            ended.stderr.lines().last().unwrap().contains(file),
                            "{file}, {way}: {ended}"
                        );
                        assert!(!ended.stderr.contains("panicked"), "{file}, {way}: {ended}");
                    }
                }
                Then::Refused(todo) => {
                    let message = refused(standalone(dir.path())).await;
                    assert!(
                        message.contains(file) && message.to_lowercase().contains(todo),
                        "{file}, {way}: {message}"
                    );
                }
            }
        }
    }
}

/// All files of a directory, with their modes.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
