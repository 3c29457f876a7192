//! `tweaks`: the tweaks of a block by the fast engine, compared with libsecp256k1, with the same transactions on one
//! core in one run.

use std::hint::black_box;

use anyhow::{Result, ensure};
use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::{Secp256k1, SecretKey, rand};
use bitcoin::transaction::Version;
use bitcoin::{Amount, CompressedPublicKey, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};
use sdk_relay_bip352::{Engine, Libsecp256k1, TxWithPrevouts};
use serde_json::json;

use crate::processor;
use crate::report::{Report, Table};
use crate::scan::{EngineChoice, bare_multiplication, median};

/// The two alternate, so that other load affects both; the median of the rounds is reported.
const ROUNDS: usize = 9;

/// Nanoseconds per tweak of the fast engine, compared with libsecp256k1.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Eligible transactions of a block.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=5000))]
    transactions: u16,
    /// Inputs of every second one; the others have one.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=100))]
    inputs: u8,
    #[command(flatten)]
    engine: EngineChoice,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Report> {
    let txs: Vec<_> = (0..arguments.transactions)
        .map(|n| transaction(if n % 2 == 0 { 1 } else { arguments.inputs }))
        .collect();
    let given: Vec<TxWithPrevouts<'_>> = txs.iter().map(|(tx, prevouts)| (tx, prevouts.as_slice())).collect();
    let engine = arguments.engine.get()?;
    let (mut times, mut baseline) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let start = processor::time();
        let found = black_box(engine.tweaks(&given)?);
        let time = processor::time() - start;
        let start = processor::time();
        let expected = black_box(Libsecp256k1.tweaks(&given)?);
        // The first round fills caches and tables.
        if round > 0 {
            times.push(time.as_secs_f64() * 1e9 / given.len() as f64);
            baseline.push((processor::time() - start).as_secs_f64() * 1e9 / given.len() as f64);
        }
        ensure!(found == expected, "the engines differ");
    }
    // What docs/scanner.md counts: a square root for each input, and doublings, additions, table and inversions for
    // each transaction.
    let inputs = f64::from(arguments.inputs + 1) / 2.0;
    let bare_ns = bare_multiplication(&engine)? * (inputs * 270.0 + 750.0 + 550.0 + 145.0 + 30.0);
    let (ns, baseline_ns) = (median(times)?, median(baseline)?);
    let table = Table::new(["nanoseconds a transaction", "engine", "libsecp256k1", "ratio"]).row(
        "tweak",
        &[ns, baseline_ns, baseline_ns / ns],
        1,
    );
    let floor = Table::new(["nanoseconds a transaction", "engine", "of the engine's, %"]).row(
        "bare field multiplications",
        &[bare_ns, 100.0 * bare_ns / ns],
        1,
    );
    Ok(Report {
        title: format!(
            "tweaks of {} transactions with 1 and {} inputs on one core, engine {}",
            arguments.transactions,
            arguments.inputs,
            engine.name()
        ),
        tables: vec![table, floor],
        json: json!({
            "ns_per_transaction": ns, "libsecp256k1_ns_per_transaction": baseline_ns, "ratio": baseline_ns / ns,
            "bare_multiplications_ns": bare_ns,
            "engine": engine.name(),
        }),
    })
}

/// P2WPKH inputs and one taproot output.
fn transaction(inputs: u8) -> (Transaction, Vec<TxOut>) {
    let secp = Secp256k1::new();
    let mut rng = rand::thread_rng();
    let keys: Vec<_> = (0..inputs)
        .map(|_| SecretKey::new(&mut rng).public_key(&secp))
        .collect();
    let out = |script_pubkey| TxOut {
        value: Amount::ONE_SAT,
        script_pubkey,
    };
    let input = keys.iter().map(|key| TxIn {
        previous_output: OutPoint::new(Txid::hash(&key.serialize()), 0),
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::from_slice(&[vec![0x30; 71], key.serialize().to_vec()]),
    });
    let prevouts = keys
        .iter()
        .map(|key| out(ScriptBuf::new_p2wpkh(&CompressedPublicKey(*key).wpubkey_hash())));
    let taproot = [&[0x51, 0x20], &SecretKey::new(&mut rng).secret_bytes()[..]].concat();
    let tx = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: input.collect(),
        output: vec![out(ScriptBuf::from_bytes(taproot)), out(ScriptBuf::new())],
    };
    (tx, prevouts.collect())
}
