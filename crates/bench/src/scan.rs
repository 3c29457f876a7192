//! `scan`: the fast engine compared with libsecp256k1, with the same rows on one core in one run.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bitcoin::hashes::{Hash as _, HashEngine as _, sha256};
use bitcoin::secp256k1::{All, PublicKey, Scalar, Secp256k1, SecretKey, rand};
use bitcoin::{Amount, Txid};
use sdk_relay_bip352::fast::Step;
use sdk_relay_bip352::{EligibleTx, Engine, Fast, Prepared, Receiver, ScanKey, StoredRow, TaprootOutput};
use serde_json::{Value, json};

use crate::processor;
use crate::report::{Report, Table};

/// Rows of the scan for one wallet.
const ONE_WALLET_ROWS: usize = 8_192;
const MANY_WALLETS: usize = 1_000;
/// Transactions of the scan for many wallets, a row for each wallet each.
const TRANSACTIONS: usize = 40;
/// Rows of each round on libsecp256k1, which needs many times as long.
const BASELINE_ROWS: usize = 1_000;
/// Field multiplications of a row without labels in vectors, a squaring counted as three quarters, for one wallet and
/// for many: the sums of the table in `docs/scanner.md`.
const MULTIPLICATIONS: [f64; 2] = [1_531.0, 459.0];
/// The two alternate, so that other load affects both; the median of the rounds is reported.
const ROUNDS: usize = 9;

/// Nanoseconds per row of the fast engine, compared with libsecp256k1.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    engine: EngineChoice,
    /// Labels of each receiver, in addition to that for change; the baseline has none
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    labels: u32,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Report> {
    let engine = arguments.engine.get()?;
    let one = Case::new(1, ONE_WALLET_ROWS, arguments.labels)?.measure(&engine)?;
    let many = Case::new(MANY_WALLETS, TRANSACTIONS, arguments.labels)?.measure(&engine)?;
    let table = Table::new(["nanoseconds a row", "engine", "libsecp256k1", "ratio"])
        .row("one wallet, many rows", &one.figures(), 1)
        .row("1,000 wallets, one block", &many.figures(), 1);
    let root = Table::new([
        "rows of the index, whose points are compressed",
        "one wallet",
        "1,000 wallets",
    ])
    .row("nanoseconds a row", &[one.stored_ns, many.stored_ns], 1)
    .row("share of decompression %", &[one.root_share(), many.root_share()], 1);
    let mut steps = Table::new(["share of each step, %", "one wallet", "1,000 wallets"]);
    for (n, step) in Step::ALL.into_iter().enumerate() {
        steps = steps.row(step.name(), &[one.shares[n], many.shares[n]], 1);
    }
    let mut tables = vec![table, root, steps];
    // The counted multiplications do not include those for labels.
    if arguments.labels == 0 {
        let bare = bare_multiplication(&engine)?;
        let [of_one, of_many] = MULTIPLICATIONS;
        let shares = [of_one / one.ns, of_many / many.ns].map(|per_ns| 100.0 * bare * per_ns);
        let floor = Table::new(["bare field multiplications", "one wallet", "1,000 wallets"])
            .row("multiplications a row", &MULTIPLICATIONS, 0)
            .row("nanoseconds of one, in one lane", &[bare, bare], 2)
            .row("share of the time that they alone would take, %", &shares, 1);
        tables.push(floor);
    }
    Ok(Report {
        title: format!(
            "scanning on one core, engine {}: b·T, SHA-256, t·G, addition (the engine also of the change label and {} more), comparison",
            engine.name(),
            arguments.labels
        ),
        tables,
        json: json!({
            "one_wallet": one.json(None),
            "many_wallets": many.json(Some(MANY_WALLETS)),
            "engine": engine.name(),
        }),
    })
}

/// Selection of an engine.
#[derive(clap::Args)]
pub(crate) struct EngineChoice {
    /// Name of the engine, as in the title of the report [default: the fastest of this machine]
    #[arg(long = "engine")]
    name: Option<String>,
}

impl EngineChoice {
    pub(crate) fn get(&self) -> Result<Fast> {
        let Some(name) = &self.name else { return Ok(Fast::new()) };
        let names: Vec<_> = Fast::all().iter().map(Engine::name).collect();
        Fast::named(name).with_context(|| format!("no engine {name}; this machine runs {}", names.join(", ")))
    }
}

/// Nanoseconds of a field multiplication in one lane, the median of some rounds.
pub(crate) fn bare_multiplication(engine: &Fast) -> Result<f64> {
    let rounds = (0..ROUNDS).map(|_| {
        let start = processor::time();
        let count = engine.multiply_only();
        nanoseconds(processor::time() - start, count)
    });
    median(rounds.collect())
}

struct Case {
    scan_keys: Vec<SecretKey>,
    receivers: Vec<Prepared>,
    rows: Vec<EligibleTx>,
}

struct Measured {
    rows: usize,
    ns: f64,
    /// With compressed points.
    stored_ns: f64,
    baseline_ns: f64,
    shares: Vec<f64>,
}

impl Case {
    /// Rows of two outputs without payments, as nearly every row is for a wallet.
    fn new(wallets: usize, rows: usize, labels: u32) -> Result<Self> {
        let secp = Secp256k1::new();
        let mut rng = rand::thread_rng();
        let scan_keys: Vec<SecretKey> = (0..wallets).map(|_| SecretKey::new(&mut rng)).collect();
        let receivers = scan_keys.iter().map(|scan| {
            let spend = SecretKey::new(&mut rng).public_key(&secp);
            Receiver::new(ScanKey::from(*scan), spend, 1..=labels).map(|receiver| Fast::new().prepare(receiver))
        });
        let receivers = receivers.collect::<Result<_, _>>()?;
        let mut rng = rand::thread_rng();
        let rows = (0..rows).map(|_| EligibleTx {
            txid: Txid::all_zeros(),
            tweak: SecretKey::new(&mut rng).public_key(&secp),
            outputs: (0..2)
                .map(|vout| TaprootOutput {
                    vout,
                    key: SecretKey::new(&mut rng).secret_bytes(),
                    amount: Amount::ONE_SAT,
                })
                .collect(),
        });
        Ok(Self {
            rows: rows.collect(),
            scan_keys,
            receivers,
        })
    }

    fn measure(&self, engine: &Fast) -> Result<Measured> {
        let secp = Secp256k1::new();
        let receivers: Vec<&Prepared> = self.receivers.iter().collect();
        let rows: Vec<&EligibleTx> = self.rows.iter().collect();
        let pairs = receivers.len() * rows.len();
        let packed: Vec<([u8; 33], Vec<[u8; 32]>)> = rows
            .iter()
            .map(|row| (row.tweak.serialize(), row.outputs.iter().map(|o| o.key).collect()))
            .collect();
        let packed: Vec<StoredRow<'_>> = packed
            .iter()
            .map(|(tweak, outputs)| StoredRow { tweak, outputs })
            .collect();
        let (mut times, mut stored, mut baseline) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let start = processor::time();
            ensure!(
                black_box(engine.scan(&receivers, &rows)?).is_empty(),
                "random rows hold a payment"
            );
            let time = processor::time() - start;
            let start = processor::time();
            ensure!(
                black_box(engine.scan_stored(&receivers, &packed)?).is_empty(),
                "random rows hold a payment"
            );
            let stored_time = processor::time() - start;
            let start = processor::time();
            let first = round * BASELINE_ROWS;
            let found = (first..first + BASELINE_ROWS).filter(|i| {
                let (row, wallet) = (i / receivers.len() % rows.len(), i % receivers.len());
                one_row(&secp, &self.scan_keys[wallet], receivers[wallet], rows[row]).unwrap_or(true)
            });
            ensure!(found.count() == 0, "random rows hold a payment");
            // The first round fills caches and tables.
            if round > 0 {
                times.push(nanoseconds(time, pairs));
                stored.push(nanoseconds(stored_time, pairs));
                baseline.push(nanoseconds(processor::time() - start, BASELINE_ROWS));
            }
        }
        let mut steps: Vec<Vec<f64>> = vec![Vec::new(); Step::ALL.len()];
        for _ in 0..ROUNDS {
            for (times, (_, time)) in steps.iter_mut().zip(engine.measure(&receivers, &rows)?) {
                times.push(time.as_secs_f64());
            }
        }
        let steps = steps.into_iter().map(median).collect::<Result<Vec<f64>>>()?;
        let total: f64 = steps.iter().sum();
        Ok(Measured {
            rows: pairs,
            ns: median(times)?,
            stored_ns: median(stored)?,
            baseline_ns: median(baseline)?,
            shares: steps.iter().map(|time| 100.0 * time / total).collect(),
        })
    }
}

/// The work of any scanner over libsecp256k1 for a row with parsed points; `None` in cases of negligible probability.
fn one_row(secp: &Secp256k1<All>, scan: &SecretKey, receiver: &Receiver, row: &EligibleTx) -> Option<bool> {
    let shared = row.tweak.mul_tweak(secp, &Scalar::from(*scan)).ok()?.serialize();
    let mut hash = sha256::HashEngine::from_midstate(midstate(), 64);
    hash.input(&shared);
    hash.input(&[0; 4]);
    let t = SecretKey::from_slice(sha256::Hash::from_engine(hash).as_byte_array()).ok()?;
    let output: PublicKey = t.public_key(secp).combine(&receiver.spend_public_key()).ok()?;
    let key = output.x_only_public_key().0.serialize();
    Some(row.outputs.iter().any(|o| o.key == key))
}

/// SHA-256 after the tag "BIP0352/SharedSecret", twice.
fn midstate() -> sha256::Midstate {
    static TAGGED: std::sync::OnceLock<sha256::Midstate> = std::sync::OnceLock::new();
    *TAGGED.get_or_init(|| {
        let tag = sha256::Hash::hash(b"BIP0352/SharedSecret");
        let mut engine = sha256::Hash::engine();
        engine.input(tag.as_byte_array());
        engine.input(tag.as_byte_array());
        engine.midstate()
    })
}

fn nanoseconds(time: Duration, rows: usize) -> f64 {
    time.as_secs_f64() * 1e9 / rows as f64
}

pub(crate) fn median(mut values: Vec<f64>) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().context("no round")
}

impl Measured {
    fn root_share(&self) -> f64 {
        100.0 * (self.stored_ns - self.ns) / self.stored_ns
    }

    fn ratio(&self) -> f64 {
        self.baseline_ns / self.ns
    }

    fn figures(&self) -> [f64; 3] {
        [self.ns, self.baseline_ns, self.ratio()]
    }

    fn json(&self, wallets: Option<usize>) -> Value {
        let tenth = |n: f64| (n * 10.0).round() / 10.0;
        let mut figures = serde_json::Map::new();
        if let Some(wallets) = wallets {
            figures.insert("wallets".into(), wallets.into());
            figures.insert("rows".into(), self.rows.into());
        }
        figures.insert("ns_per_row".into(), tenth(self.ns).into());
        figures.insert("stored_ns_per_row".into(), tenth(self.stored_ns).into());
        figures.insert("libsecp256k1_ns_per_row".into(), tenth(self.baseline_ns).into());
        figures.insert("ratio".into(), ((self.ratio() * 100.0).round() / 100.0).into());
        Value::Object(figures)
    }
}
