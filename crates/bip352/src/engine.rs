//! Scanning many transactions for many wallets, behind an interface that faster engines share.

use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, Transaction, TxOut, Txid};

use crate::input::{EligibleTx, TaprootOutput, tweak};
use crate::keys::Receiver;
use crate::scan::{Match, pays, scan};

/// What one transaction holds for one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Index in the receivers that were given.
    pub receiver: usize,
    /// Index in the rows that were given.
    pub row: usize,
    /// The outputs, never empty, in the order of k.
    pub matches: Vec<Match>,
}

/// A transaction as an index stores it: no point of it has been decompressed, and none of its keys need lie on the curve.
#[derive(Clone, Copy, Debug)]
pub struct StoredRow<'a> {
    /// `input_hash·A`, compressed.
    pub tweak: &'a [u8; 33],
    /// The x coordinates of its taproot outputs, in the transaction's order.
    pub outputs: &'a [[u8; 32]],
}

/// A row that holds something for a receiver: `(row, receiver)`, indices in what was given.
pub type Pair = (usize, usize);

/// A transaction, and the outputs that it spends: one for each input, in order.
pub type TxWithPrevouts<'a> = (&'a Transaction, &'a [TxOut]);

/// Scans every row for every receiver. All engines give the same hits for the same input.
///
/// The call is pure computation on the calling thread; callers on an asynchronous runtime move it off the runtime's threads and choose
/// the size of a batch.
pub trait Engine: Send + Sync {
    /// Each transaction's tweak, in order, as [`tweak`] gives it.
    ///
    /// Batches of a whole block let an engine decompress and multiply many points at once.
    fn tweaks(&self, txs: &[TxWithPrevouts<'_>]) -> Vec<Option<PublicKey>> {
        txs.iter().map(|(tx, prevouts)| tweak(tx, prevouts)).collect()
    }

    /// The hits, ordered by row and then by receiver.
    fn scan(&self, receivers: &[&Receiver], rows: &[&EligibleTx]) -> Vec<Hit>;

    /// Which rows may hold something for which receiver, ordered by row and then by receiver: every pair that [`Engine::scan`] gives, and rarely
    /// another. A [`crate::Search`] tells what it is, which can cost far more than this did: whoever serves several wallets does it in steps.
    fn suspects(&self, receivers: &[&Receiver], rows: &[&EligibleTx]) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (row, tx) in rows.iter().enumerate() {
            let found = receivers.iter().enumerate().filter(|(_, keys)| pays(keys, tx));
            pairs.extend(found.map(|(receiver, _)| (row, receiver)));
        }
        pairs
    }

    /// Which rows of an index hold at least one output of which receiver, ordered by row and then by receiver; the transaction itself
    /// tells the rest (see [`Engine::scan`]). A row whose tweak is no point of the curve holds nothing.
    ///
    /// Batches of thousands of rows let an engine decompress points and invert many at once.
    fn scan_stored(&self, receivers: &[&Receiver], rows: &[StoredRow<'_>]) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (row, stored) in rows.iter().enumerate() {
            let Some(tx) = stored.parse() else { continue };
            let found = receivers.iter().enumerate().filter(|(_, keys)| pays(keys, &tx));
            pairs.extend(found.map(|(receiver, _)| (row, receiver)));
        }
        pairs
    }
}

impl StoredRow<'_> {
    /// What the reference scans; the fields that it does not look at stay empty.
    pub(crate) fn parse(&self) -> Option<EligibleTx> {
        let outputs = (0..).zip(self.outputs).map(|(vout, key)| TaprootOutput {
            vout,
            key: *key,
            amount: Amount::ZERO,
        });
        Some(EligibleTx {
            txid: Txid::all_zeros(),
            tweak: PublicKey::from_slice(self.tweak).ok()?,
            outputs: outputs.collect(),
        })
    }
}

/// The reference engine: one pair of receiver and row at a time over libsecp256k1, with a constant-time multiplication by the scan key.
///
/// A pair without a match costs 50 to 80 µs of one core: a multiplication by the scan key (40 µs), one by t_0 (27 µs), and an addition for
/// each label.
#[derive(Clone, Copy, Debug, Default)]
pub struct Libsecp256k1;

impl Engine for Libsecp256k1 {
    fn scan(&self, receivers: &[&Receiver], rows: &[&EligibleTx]) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (row, tx) in rows.iter().enumerate() {
            for (receiver, keys) in receivers.iter().enumerate() {
                let matches = scan(keys, tx);
                if !matches.is_empty() {
                    hits.push(Hit { receiver, row, matches });
                }
            }
        }
        hits
    }
}
