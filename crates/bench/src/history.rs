//! `history`: rows per second of a scan over an index of synthetic rows, as a watch's history is scanned: read from
//! disk in ranges, and scanned by the threads of the index. With `--served`, also as a relay serves the same rows.

mod served;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey, rand};
use bitcoin::{Amount, BlockHash, OutPoint, Txid};
use sdk_relay_bip352::{Fast, Prepared, Receiver, ScanKey, Scanner};
use sdk_relay_index::{Pool, scan};
use sdk_relay_store::TweakIndex;
use sdk_relay_store::index::{IndexedBlock, IndexedTx, OutputPlace, SpentOutput};
use serde_json::json;

use crate::report::{Report, Table};

/// Rows of a block.
const ROWS_PER_BLOCK: u32 = 2000;
/// Blocks per commit while the index is built.
const BLOCKS_PER_COMMIT: u32 = 25;
/// Rows per read, as in the history scanner for one watch.
const ROWS_AT_ONCE: usize = 16_384;

/// Whether the engine has failed, so that the reference was used.
static HAS_FAILED: AtomicBool = AtomicBool::new(false);

/// Scanning history.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rows of the index.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(2000..=20_000_000))]
    rows: u32,
    /// Wallets that share the pass.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    wallets: u16,
    /// Threads; 0: all processors but one.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Each row spends an output of the 90 blocks below: also measure how long it takes to find what spends a payment
    #[arg(long)]
    spends: bool,
    /// Also scan the rows this often through a relay: as a watch over WebSocket, and as a subscription over Electrum
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=100))]
    served: u16,
}

pub(crate) async fn run(arguments: Arguments) -> Result<Report> {
    let dir = tempfile::tempdir()?;
    let index = Arc::new(TweakIndex::open(dir.path(), "regtest", 0)?);
    let blocks = arguments.rows / ROWS_PER_BLOCK;
    let hashes: Vec<BlockHash> = (0..blocks)
        .map(|height| BlockHash::hash(&height.to_le_bytes()))
        .collect();
    fill(&index, BlockHash::all_zeros(), 0, &hashes, arguments.spends)?;
    let processors = std::thread::available_parallelism()?.get();
    let threads = if arguments.threads > 0 {
        arguments.threads
    } else {
        processors.saturating_sub(1).max(1)
    };
    let pool = Pool::new(threads)?;
    let scanner = Scanner::new(Arc::new(Fast::new()), |_, error| {
        HAS_FAILED.store(error.is_some(), Ordering::Relaxed);
    });
    let prepared = (0..arguments.wallets).map(|_| anyhow::Ok(Arc::new(scanner.prepare(receiver()?))));
    let receivers: Vec<Arc<Prepared>> = prepared.collect::<Result<_>>()?;
    let began = Instant::now();
    let (mut next, mut rows, mut found, mut reading) = (0, 0u64, 0usize, 0.0);
    loop {
        let at = Instant::now();
        let stretch = index.blocks(next, ROWS_AT_ONCE)?;
        reading += at.elapsed().as_secs_f64();
        let Some(last) = stretch.last() else { break };
        next = last.height + 1;
        rows += stretch.iter().map(|b| b.transactions.len() as u64).sum::<u64>();
        let (scanner, receivers) = (scanner.clone(), receivers.clone());
        let work = move || {
            let keys: Vec<&Prepared> = receivers.iter().map(|r| &**r).collect();
            scan(&scanner, &keys, &stretch, threads)
                .iter()
                .map(Vec::len)
                .sum::<usize>()
        };
        found += pool.run(work).await.context("a thread failed")?;
    }
    let seconds = began.elapsed().as_secs_f64();
    ensure!(
        !HAS_FAILED.load(Ordering::Relaxed),
        "the engine failed: the figures would be those of another"
    );
    let per_s = rows as f64 / seconds;
    let table = Table::new(["scanning", "value"])
        .row("rows", &[rows as f64], 0)
        .row("wallets", &[f64::from(arguments.wallets)], 0)
        .row("threads", &[threads as f64], 0)
        .row("processors", &[processors as f64], 0)
        .row("seconds", &[seconds], 2)
        .row("rows/s", &[per_s], 0)
        .row("rows/s and thread", &[per_s / threads as f64], 0)
        .row("share reading %", &[reading / seconds * 100.0], 1)
        .row("found by chance", &[found as f64], 0);
    let mut tables = vec![table];
    if arguments.spends {
        tables.push(look_up(&index, blocks)?);
    }
    let mut json = json!({"rows": rows, "threads": threads, "wallets": arguments.wallets, "seconds": seconds, "rows_per_s": per_s});
    if arguments.served > 0 {
        drop(index);
        let fill = |index: &TweakIndex, below, from, hashes: &[BlockHash]| fill(index, below, from, hashes, false);
        let served = served::measure(blocks, fill, arguments.served, (rows as f64, seconds)).await?;
        tables.push(served.table);
        json["served"] = served.json;
    }
    Ok(Report {
        title: format!("History over {rows} synthetic rows with one taproot output each"),
        tables,
        json,
    })
}

fn receiver() -> Result<Receiver> {
    let secret = || SecretKey::new(&mut rand::thread_rng());
    let spend = secret().public_key(&Secp256k1::new());
    Ok(Receiver::new(ScanKey::from(secret()), spend, [])?)
}

/// Payments that are looked up.
const LOOKED_UP: u32 = 500;
/// Blocks in which the outputs of a block are spent: the index refers to them by position.
const SPENT_WITHIN: u32 = 90;

/// Time to find what spends outputs of the index: one at a time, and those of one block together.
fn look_up(index: &TweakIndex, blocks: u32) -> Result<Table> {
    let last = blocks.saturating_sub(SPENT_WITHIN + 1).max(1);
    let mut times = Vec::new();
    for n in 0..LOOKED_UP {
        let (height, row) = (n.wrapping_mul(2_654_435_761) % last, n * 37 % ROWS_PER_BLOCK);
        let at = Instant::now();
        let found = index.spenders(&[(height, outpoint(height, row))])?;
        times.push(at.elapsed().as_secs_f64() * 1e3);
        let expected = height + spent_after(row);
        ensure!(
            found.first().is_some_and(|s| s.is_some_and(|s| s.height == expected)),
            "the output {height}:{row} is spent at {expected}, not {found:?}"
        );
    }
    times.sort_by(f64::total_cmp);
    let outputs: Vec<_> = (0..LOOKED_UP).map(|row| (last / 2, outpoint(last / 2, row))).collect();
    let at = Instant::now();
    ensure!(index.spenders(&outputs)?.iter().all(Option::is_some), "all are spent");
    let together = at.elapsed().as_secs_f64() * 1e3;
    let at = |share: f64| times[(share * (times.len() - 1) as f64) as usize];
    Ok(Table::new(["what spends a payment", "ms"])
        .row("one output, median", &[at(0.5)], 2)
        .row("one output, 95 %", &[at(0.95)], 2)
        .row("one output, longest", &[at(1.0)], 2)
        .row(&format!("{LOOKED_UP} outputs of one block together"), &[together], 2))
}

fn spent_after(row: u32) -> u32 {
    1 + row % SPENT_WITHIN
}

fn outpoint(height: u32, row: u32) -> OutPoint {
    OutPoint::new(Txid::hash(&seed(height, row)), row % 3)
}

fn seed(height: u32, row: u32) -> Vec<u8> {
    [height.to_le_bytes(), row.to_le_bytes()].concat()
}

/// Rows with valid tweaks and random keys, in blocks with these hashes from a height, on top of another block.
fn fill(index: &TweakIndex, below: BlockHash, from: u32, hashes: &[BlockHash], spends: bool) -> Result<()> {
    let secp = Secp256k1::new();
    let step = SecretKey::new(&mut rand::thread_rng()).public_key(&secp);
    let mut tweak: PublicKey = SecretKey::new(&mut rand::thread_rng()).public_key(&secp);
    let mut batch = Vec::new();
    let mut below = below;
    let end = from + u32::try_from(hashes.len())?;
    for (height, hash) in (from..end).zip(hashes.iter().copied()) {
        let transactions = (0..ROWS_PER_BLOCK).map(|n| {
            tweak = tweak.combine(&step)?;
            let seed = seed(height, n);
            let own = usize::try_from(n)?;
            Ok(IndexedTx {
                txid: Txid::hash(&seed),
                tweak: tweak.serialize(),
                keys: vec![sha256::Hash::hash(&seed).to_byte_array()],
                places: vec![OutputPlace {
                    vout: n % 3,
                    amount: Amount::from_sat(100_000),
                }],
                fee: Some(1_000),
                size: 250,
                spends: if spends { own..own + 1 } else { 0..0 },
            })
        });
        batch.push(IndexedBlock {
            height,
            hash,
            time: height,
            transactions: transactions.collect::<Result<_>>()?,
            spent: if spends { spent_in(height) } else { Vec::new() },
        });
        if (height + 1) % BLOCKS_PER_COMMIT == 0 || height + 1 == end {
            index.append(below, &batch)?;
            below = hash;
            batch.clear();
        }
    }
    Ok(())
}

/// What the rows of a block spend: outputs of no block of the index where that does not go back so far.
fn spent_in(height: u32) -> Vec<SpentOutput> {
    let spent = (0..ROWS_PER_BLOCK).map(|row| {
        let of = height.checked_sub(spent_after(row)).unwrap_or(u32::MAX - height);
        SpentOutput {
            outpoint: outpoint(of, row),
            key_prefix: [0; 8],
        }
    });
    spent.collect()
}
