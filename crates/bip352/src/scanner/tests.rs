use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::SecretKey;
use bitcoin::{Amount, Txid};

use super::*;
use crate::curve::SECP;
use crate::shared_secret::SharedSecret;
use crate::{Fast, Libsecp256k1, Network, ScanKey, TaprootOutput};

/// A device that answers every second call.
#[derive(Default)]
struct Flaky(AtomicUsize);

impl Flaky {
    fn asked<T>(&self, answer: Result<T, EngineError>) -> Result<T, EngineError> {
        match self.0.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => Err(EngineError::Device("lost".to_owned())),
            _ => answer,
        }
    }
}

impl Engine for Flaky {
    fn name(&self) -> &'static str {
        "flaky"
    }

    fn tweaks(&self, txs: &[TxWithPrevouts<'_>]) -> Result<Vec<Option<PublicKey>>, EngineError> {
        self.asked(Libsecp256k1.tweaks(txs))
    }

    fn scan(&self, receivers: &[&Prepared], rows: &[&EligibleTx]) -> Result<Vec<Hit>, EngineError> {
        self.asked(Libsecp256k1.scan(receivers, rows))
    }

    fn suspects(&self, receivers: &[&Prepared], rows: &[&EligibleTx]) -> Result<Vec<Pair>, EngineError> {
        self.asked(Libsecp256k1.suspects(receivers, rows))
    }

    fn scan_stored(&self, receivers: &[&Prepared], rows: &[StoredRow<'_>]) -> Result<Vec<Pair>, EngineError> {
        self.asked(Libsecp256k1.scan_stored(receivers, rows))
    }
}

static CHANGES: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn changed(engine: &'static str, error: Option<&EngineError>) {
    let error = error.map_or_else(|| "works".to_owned(), ToString::to_string);
    CHANGES.lock().unwrap().push(format!("{engine}: {error}"));
}

fn no_change(_: &'static str, _: Option<&EngineError>) {}

fn receiver(n: u8) -> Receiver {
    let key = SecretKey::from_slice(&[n; 32]).unwrap();
    let spend = key.public_key(&SECP);
    Receiver::new(ScanKey::from(key), spend, [1]).unwrap()
}

/// A row that pays the receiver in one output, and another that does not.
fn row(receiver: &Receiver) -> EligibleTx {
    let tweak = SecretKey::from_slice(&[9; 32]).unwrap().public_key(&SECP);
    let t = SharedSecret::new(&tweak, receiver.scan_secret())
        .output_tweak(0)
        .unwrap();
    let paid = receiver.spend_public_key().add_exp_tweak(&SECP, &t.into()).unwrap();
    let output = |vout, key| TaprootOutput {
        vout,
        key,
        amount: Amount::ONE_SAT,
    };
    EligibleTx {
        txid: Txid::all_zeros(),
        tweak,
        outputs: vec![output(0, [1; 32]), output(1, paid.x_only_public_key().0.serialize())],
    }
}

#[test]
fn a_failed_scan_is_repeated_by_the_reference() {
    assert!(receiver(1).address(Network::Main).to_string().starts_with("sp1"));
    let scanner = Scanner::new(Arc::new(Flaky::default()), changed);
    let paid = scanner.prepare(receiver(1));
    let other = scanner.prepare(receiver(2));
    let row = row(&paid);
    let receivers = [&other, &paid];
    let expected = reference::hits(&receivers, &[&row]);
    assert_eq!(expected.len(), 1);
    for _ in 0..4 {
        assert_eq!(scanner.scan(&receivers, &[&row]), expected);
    }
    let stored = row.tweak.serialize();
    let keys: Vec<[u8; 32]> = row.outputs.iter().map(|output| output.key).collect();
    let stored = StoredRow {
        tweak: &stored,
        outputs: &keys,
    };
    for _ in 0..2 {
        assert_eq!(scanner.suspects(&receivers, &[&row]), [(0, 1)]);
        assert_eq!(scanner.scan_stored(&receivers, &[stored]), [(0, 1)]);
        assert_eq!(scanner.tweaks(&[]), []);
    }
    let changes = CHANGES.lock().unwrap().clone();
    assert_eq!(changes.len(), 10, "each change once: {changes:?}");
    assert_eq!(changes[..2], ["flaky: lost", "flaky: works"]);
}

#[test]
fn a_receiver_of_another_engine_is_refused_and_scanned_by_the_reference() {
    let plain = Libsecp256k1.prepare(receiver(1));
    let row = row(&plain);
    let rows = [&row; 16];
    assert_eq!(Fast::new().scan(&[&plain], &rows), Err(EngineError::ForeignReceiver));
    let scanner = Scanner::new(Arc::new(Fast::new()), no_change);
    assert_eq!(scanner.scan(&[&plain], &rows), reference::hits(&[&plain], &rows));
    let own = scanner.prepare(receiver(1));
    assert_eq!(Fast::new().scan(&[&own], &rows).unwrap().len(), 16);
}

#[test]
fn engines_are_found_by_their_names() {
    for engine in Fast::all() {
        assert_eq!(
            Fast::named(engine.name()).map(|found| found.name()),
            Some(engine.name())
        );
    }
    assert!(Fast::named("portable").is_some() && Fast::named("abacus").is_none());
}
