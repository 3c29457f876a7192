//! The fast engine against libsecp256k1, row by row: every row holds a payment that libsecp256k1 derived, or none.
//!
//! `DIFFERENTIAL_ROWS` sets how many, and `DIFFERENTIAL_SECONDS` how long at most. `.ci/run` runs half a minute of them
//! in release mode, from a fixed seed; `scripts/soak differential` runs for hours, from a random one. Each thread
//! prints its seed: `DIFFERENTIAL_SEED` with the seed of the thread that failed makes its rows again, on thread 0.

// The exemption for tests does not reach the functions that they call.
use std::time::{Duration, Instant};

use bitcoin::absolute::LockTime;
use bitcoin::hashes::{Hash as _, sha256};
use bitcoin::secp256k1::{PublicKey, Scalar, Secp256k1, SecretKey, rand};
use bitcoin::transaction::Version;
use bitcoin::{Amount, CompressedPublicKey, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};
use rand::rngs::StdRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use sdk_relay_bip352::{EligibleTx, Engine, Fast, Prepared, Receiver, ScanKey, StoredRow, TaprootOutput};

const DEFAULT_ROWS: usize = 20_000;
/// Rows of one call.
const CALL: usize = 2_000;

struct Wallet {
    receiver: Prepared,
    scan: SecretKey,
    /// The unlabelled spend key, change, and the labels.
    keys: Vec<PublicKey>,
}

fn wallet(rng: &mut StdRng, labels: u32) -> Wallet {
    let scan = secret(rng);
    wallet_of(scan, secret(rng), labels)
}

fn wallet_of(scan: SecretKey, spend: SecretKey, labels: u32) -> Wallet {
    let secp = Secp256k1::new();
    let spend = spend.public_key(&secp);
    let receiver = Receiver::new(ScanKey::from(scan), spend, 1..=labels).expect("labels");
    let receiver = Fast::new().prepare(receiver);
    let tag = sha256::Hash::hash(b"BIP0352/Label").to_byte_array();
    let labelled = (0..=labels).map(|m| {
        let hash = [&tag[..], &tag[..], &scan.secret_bytes()[..], &m.to_be_bytes()[..]].concat();
        let tweak = Scalar::from_be_bytes(sha256::Hash::hash(&hash).to_byte_array()).expect("a scalar");
        spend.add_exp_tweak(&secp, &tweak).expect("a point")
    });
    let keys = std::iter::once(spend).chain(labelled).collect();
    Wallet { receiver, scan, keys }
}

fn secret(rng: &mut StdRng) -> SecretKey {
    SecretKey::new(rng)
}

/// The x coordinate of the first output of a payment, by libsecp256k1 and nothing of this crate.
fn payment(
    secp: &Secp256k1<impl bitcoin::secp256k1::Verification>,
    tweak: &PublicKey,
    scan: &SecretKey,
    key: &PublicKey,
) -> [u8; 32] {
    let tag = sha256::Hash::hash(b"BIP0352/SharedSecret").to_byte_array();
    let shared = tweak
        .mul_tweak(secp, &Scalar::from(*scan))
        .expect("a point")
        .serialize();
    let hash = [&tag[..], &tag[..], &shared[..], &[0; 4][..]].concat();
    let t = Scalar::from_be_bytes(sha256::Hash::hash(&hash).to_byte_array()).expect("a scalar");
    key.add_exp_tweak(secp, &t)
        .expect("a point")
        .x_only_public_key()
        .0
        .serialize()
}

/// A row of random keys, of which `paid` takes the place of one.
fn row(rng: &mut StdRng, tweak: PublicKey, paid: Option<[u8; 32]>) -> EligibleTx {
    let mut outputs: Vec<TaprootOutput> = (0..rng.gen_range(1..12))
        .map(|vout| {
            let mut key = [0; 32];
            rng.fill_bytes(&mut key);
            TaprootOutput {
                vout,
                key,
                amount: Amount::ONE_SAT,
            }
        })
        .collect();
    if let Some(key) = paid {
        let at = rng.gen_range(0..outputs.len());
        outputs[at].key = key;
    }
    EligibleTx {
        txid: Txid::all_zeros(),
        tweak,
        outputs,
    }
}

/// Scans both ways and asks for exactly these `(row, receiver)`.
fn check(engine: &Fast, receivers: &[&Prepared], rows: &[EligibleTx], expected: &[(usize, usize)]) {
    check_parsed(engine, receivers, rows, expected);
    check_stored(engine, receivers, rows, expected);
}

fn check_parsed(engine: &Fast, receivers: &[&Prepared], rows: &[EligibleTx], expected: &[(usize, usize)]) {
    let borrowed: Vec<&EligibleTx> = rows.iter().collect();
    let hits: Vec<_> = engine
        .scan(receivers, &borrowed)
        .expect("an answer")
        .into_iter()
        .map(|hit| (hit.row, hit.receiver))
        .collect();
    assert_eq!(hits, expected, "{}", engine.name());
}

fn check_stored(engine: &Fast, receivers: &[&Prepared], rows: &[EligibleTx], expected: &[(usize, usize)]) {
    let stored: Vec<([u8; 33], Vec<[u8; 32]>)> = rows
        .iter()
        .map(|r| (r.tweak.serialize(), r.outputs.iter().map(|o| o.key).collect()))
        .collect();
    let stored: Vec<StoredRow<'_>> = stored
        .iter()
        .map(|(tweak, outputs)| StoredRow { tweak, outputs })
        .collect();
    let found = engine.scan_stored(receivers, &stored).expect("an answer");
    assert_eq!(found, expected, "{}", engine.name());
}

fn rows_wanted() -> usize {
    std::env::var("DIFFERENTIAL_ROWS")
        .ok()
        .map_or(DEFAULT_ROWS, |n| n.parse().expect("a number of rows"))
}

fn longest() -> Duration {
    std::env::var("DIFFERENTIAL_SECONDS")
        .ok()
        .map_or(Duration::MAX, |n| Duration::from_secs(n.parse().expect("seconds")))
}

/// The seed of the first thread; the others have the next ones.
fn first_seed() -> u64 {
    std::env::var("DIFFERENTIAL_SEED").map_or_else(|_| rand::random(), |n| n.parse().expect("a number"))
}

/// Half of the rows for one wallet, half for many, on every processor.
#[test]
fn random_rows() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let each = rows_wanted() / threads;
    let (began, longest, first_seed) = (Instant::now(), longest(), first_seed());
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let random_calls = move || {
                let seed = first_seed.wrapping_add(thread as u64);
                println!("thread {thread}, seed {seed}, {each} rows");
                let mut rng = StdRng::seed_from_u64(seed);
                for call in 0..each.div_ceil(CALL) {
                    let rows = call * CALL;
                    if rows >= DEFAULT_ROWS && began.elapsed() > longest {
                        println!("thread {thread}: the time is over after {rows} rows");
                        break;
                    }
                    let wallets = if call % 2 == 0 { 1 } else { 100 };
                    // The fastest engine scans every row, each of the others a fifth.
                    let turn = call / 2 % 5;
                    let chosen: Vec<Fast> = (0..)
                        .zip(Fast::all().into_iter().rev())
                        .filter(|(n, _)| *n == 0 || *n == turn)
                        .map(|(_, e)| e)
                        .collect();
                    random_call(&mut rng, wallets, CALL.min(each - call * CALL), &chosen);
                }
            };
            let thread = std::thread::Builder::new().spawn_scoped(scope, random_calls);
            thread.expect("a thread");
        }
    });
}

/// `pairs` pairs of row and wallet; every other one is paid.
fn random_call(rng: &mut StdRng, wallets: usize, pairs: usize, engines: &[Fast]) {
    let secp = Secp256k1::new();
    let wallets: Vec<Wallet> = (0..wallets).map(|_| wallet(rng, 2)).collect();
    let receivers: Vec<&Prepared> = wallets.iter().map(|w| &w.receiver).collect();
    let mut expected = Vec::new();
    let mut point = secret(rng).public_key(&secp);
    let mut rows = Vec::new();
    for i in 0..pairs.div_ceil(wallets.len()) {
        point = point.combine(&receivers[0].spend_public_key()).expect("a point");
        let mut tx = row(rng, point, None);
        tx.outputs.clear();
        for (w, wallet) in wallets.iter().enumerate() {
            let paid: bool = rng.r#gen();
            let key = &wallet.keys[rng.gen_range(0..wallet.keys.len())];
            let key = paid.then(|| payment(&secp, &point, &wallet.scan, key));
            tx.outputs.extend(row(rng, point, key).outputs);
            expected.extend(paid.then_some((i, w)));
        }
        rows.push(tx);
    }
    // Each hit is confirmed by libsecp256k1, which costs more than the scan: one way at a time.
    let check = if rng.r#gen() { check_parsed } else { check_stored };
    for engine in engines {
        check(engine, &receivers, &rows, &expected);
    }
}

/// Receivers with so many labels that these are subtracted from the outputs, alone and among others that have few.
#[test]
fn many_labels() {
    let secp = Secp256k1::new();
    let mut rng = StdRng::seed_from_u64(1_000);
    let wallets: Vec<Wallet> = [600, 0, 1_500].map(|labels| wallet(&mut rng, labels)).into();
    let strangers: Vec<Wallet> = (0..27).map(|_| wallet(&mut rng, 1)).collect();
    for others in [&strangers[..0], &strangers[..]] {
        let wallets: Vec<&Wallet> = wallets.iter().chain(others).collect();
        let receivers: Vec<&Prepared> = wallets.iter().map(|w| &w.receiver).collect();
        let mut expected = Vec::new();
        let rows: Vec<EligibleTx> = (0..700)
            .map(|i| {
                let point = secret(&mut rng).public_key(&secp);
                let w = rng.gen_range(0..2 * wallets.len());
                let paid = wallets.get(w).map(|wallet| {
                    expected.push((i, w));
                    // The first is without a label: its output has the x coordinate of what is subtracted.
                    let key = &wallet.keys[rng.gen_range(0..wallet.keys.len()) * usize::from(i % 3 > 0)];
                    payment(&secp, &point, &wallet.scan, key)
                });
                let mut tx = row(&mut rng, point, paid);
                tx.outputs.truncate(4);
                if let Some(key) = paid {
                    tx.outputs[0].key = key;
                }
                tx
            })
            .collect();
        for engine in Fast::all() {
            check(&engine, &receivers, &rows, &expected);
        }
    }
}

/// A block's tweaks with inputs by the thousand, each as libsecp256k1 computes it.
#[test]
fn random_tweaks() {
    let secp = Secp256k1::new();
    let (began, longest, seed) = (Instant::now(), longest(), first_seed());
    println!("tweaks: DIFFERENTIAL_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let step = secret(&mut rng).public_key(&secp);
    let mut key = secret(&mut rng).public_key(&secp);
    for _ in 0..rows_wanted().div_ceil(40_000) {
        if began.elapsed() >= longest {
            println!("tweaks: the time is over");
            break;
        }
        let txs: Vec<(Transaction, Vec<TxOut>)> = (0..2_000)
            .map(|_| {
                let inputs = if rng.gen_range(0..200) == 0 {
                    300
                } else {
                    rng.gen_range(1..5)
                };
                let keys: Vec<PublicKey> = (0..inputs)
                    .map(|_| {
                        // One in ten once more, or its opposite.
                        match rng.gen_range(0..20) {
                            0 => {}
                            1 => key = key.negate(&secp),
                            _ => key = key.combine(&step).expect("a point"),
                        }
                        key
                    })
                    .collect();
                spending(&mut rng, &keys)
            })
            .collect();
        let given: Vec<(&Transaction, &[TxOut])> = txs.iter().map(|(tx, prevouts)| (tx, prevouts.as_slice())).collect();
        // In plain code the engine leaves tweaks to libsecp256k1.
        assert!(Fast::new().tweaks(&given) == sdk_relay_bip352::Libsecp256k1.tweaks(&given));
    }
}

/// P2WPKH inputs with these keys, and one taproot output.
fn spending(rng: &mut StdRng, keys: &[PublicKey]) -> (Transaction, Vec<TxOut>) {
    let out = |script_pubkey| TxOut {
        value: Amount::ONE_SAT,
        script_pubkey,
    };
    let input = keys.iter().map(|key| TxIn {
        previous_output: OutPoint::new(Txid::from_byte_array(rng.r#gen()), rng.r#gen()),
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::from_slice(&[vec![0x30; 71], key.serialize().to_vec()]),
    });
    let tx = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: input.collect(),
        output: vec![out(ScriptBuf::from_bytes([&[0x51, 0x20], &[3; 32][..]].concat()))],
    };
    let prevouts = keys
        .iter()
        .map(|key| out(ScriptBuf::new_p2wpkh(&CompressedPublicKey(*key).wpubkey_hash())));
    (tx, prevouts.collect())
}

/// Keys that meet the exceptional cases of the group law, in every lane and with every wallet count.
#[test]
fn exceptional_scalars() {
    let secp = Secp256k1::new();
    let lambda =
        SecretKey::from_slice(&hex("5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72")).expect("λ");
    let one =
        SecretKey::from_slice(&hex("0000000000000000000000000000000000000000000000000000000000000001")).expect("1");
    let mut scalars = vec![one, one.negate()];
    let mut small = one;
    for _ in 0..20 {
        small = small.add_tweak(&one.into()).expect("small");
        scalars.extend([small, small.negate()]);
    }
    let mut power = one;
    for _ in 0..60 {
        // Powers of 2^4, beyond the length of a half and of the order.
        for _ in 0..4 {
            power = power.add_tweak(&power.into()).expect("a power of two");
        }
        scalars.push(power);
        scalars.push(power.add_tweak(&one.into()).expect("not zero"));
    }
    let multiples: Vec<SecretKey> = scalars
        .iter()
        .take(90)
        .map(|s| s.mul_tweak(&lambda.into()).expect("a multiple of λ"))
        .collect();
    let sums = multiples
        .iter()
        .flat_map(|m| scalars.iter().take(4).filter_map(|s| m.add_tweak(&(*s).into()).ok()));
    let sums: Vec<SecretKey> = sums.collect();
    scalars.extend(multiples);
    scalars.extend(sums);

    let mut rng = StdRng::seed_from_u64(352);
    let wallets: Vec<Wallet> = scalars.iter().map(|s| wallet_of(*s, secret(&mut rng), 1)).collect();
    let points: Vec<PublicKey> = (0..8).map(|_| secret(&mut rng).public_key(&secp)).collect();
    for engine in Fast::all() {
        // One wallet at a time, eight rows: every lane.
        for wallet in &wallets {
            let rows: Vec<EligibleTx> = points
                .iter()
                .map(|p| row(&mut rng, *p, Some(payment(&secp, p, &wallet.scan, &wallet.keys[0]))))
                .collect();
            let expected: Vec<_> = (0..rows.len()).map(|i| (i, 0)).collect();
            check(&engine, &[&wallet.receiver], &rows, &expected);
        }
        // Many wallets at once, in eight orders: every wallet in every lane.
        for (shift, point) in points.iter().enumerate() {
            let order: Vec<&Wallet> = wallets.iter().cycle().skip(shift).take(wallets.len()).collect();
            for some in order.chunks(64) {
                let receivers: Vec<&Prepared> = some.iter().map(|w| &w.receiver).collect();
                let mut tx = row(&mut rng, *point, None);
                for wallet in some {
                    let key = payment(&secp, point, &wallet.scan, &wallet.keys[0]);
                    tx.outputs.extend(row(&mut rng, *point, Some(key)).outputs);
                }
                let expected: Vec<_> = (0..some.len()).map(|i| (0, i)).collect();
                check(&engine, &receivers, &[tx], &expected);
            }
        }
    }
}

/// A row whose tweak is no point holds nothing, and its neighbours in the same vector are scanned as ever.
#[test]
fn tweaks_that_are_not_points() {
    let secp = Secp256k1::new();
    let mut rng = StdRng::seed_from_u64(6);
    let wallet = wallet(&mut rng, 0);
    let mut stored = Vec::new();
    let mut expected = Vec::new();
    for i in 0..400 {
        let point = secret(&mut rng).public_key(&secp);
        let key = payment(&secp, &point, &wallet.scan, &wallet.keys[0]);
        let mut tweak = point.serialize();
        match i % 5 {
            0 => rng.fill_bytes(&mut tweak[1..]),
            1 => tweak[1..].fill(0xff),
            2 => tweak[0] = *[0, 1, 4, 6, 7].get(i / 5 % 5).unwrap_or(&5),
            _ => expected.push((i, 0)),
        }
        stored.push((tweak, [key]));
    }
    let rows: Vec<StoredRow<'_>> = stored
        .iter()
        .map(|(tweak, outputs)| StoredRow { tweak, outputs })
        .collect();
    for engine in Fast::all() {
        assert_eq!(
            engine.scan_stored(&[&wallet.receiver], &rows).as_ref(),
            Ok(&expected),
            "{}",
            engine.name()
        );
        for rows in rows.chunks(3) {
            let reference = sdk_relay_bip352::Libsecp256k1.scan_stored(&[&wallet.receiver], rows);
            assert_eq!(engine.scan_stored(&[&wallet.receiver], rows), reference);
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex"))
        .collect()
}
