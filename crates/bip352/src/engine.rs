//! Scanning many transactions for many wallets, behind an interface that faster engines share.

use bitcoin::secp256k1::PublicKey;

use crate::batch::{Hit, Pair, Prepared, StoredRow, TxWithPrevouts};
use crate::input::EligibleTx;
use crate::keys::Receiver;
use crate::reference;

/// Rows of one call, for engines without a preference: enough to amortise an inversion.
const ORDINARY_BATCH: usize = 512;

/// Why an engine failed. A [`crate::Scanner`] then uses the reference engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A receiver without the engine's tables.
    #[error("a receiver was prepared by another engine")]
    ForeignReceiver,
    /// The device is lost, out of memory, or returns a wrong result.
    #[error("{0}")]
    Device(String),
}

/// Scans every row for every receiver. All engines give the same results for the same input. Default methods use the
/// reference engine.
///
/// A call is pure computation on the calling thread; in an asynchronous runtime, call it on a blocking thread, and
/// choose the size of a batch.
pub trait Engine: Send + Sync {
    /// The name, for logs and settings.
    fn name(&self) -> &'static str;

    /// Precomputes tables for scans for this receiver.
    fn prepare(&self, receiver: Receiver) -> Prepared {
        Prepared::plain(receiver)
    }

    /// Rows per call above which the cost per row does not decrease.
    fn preferred_batch(&self) -> usize {
        ORDINARY_BATCH
    }

    /// Each transaction's tweak, in order, as [`crate::tweak`] gives it.
    ///
    /// Batches of a whole block let an engine decompress and multiply many points at once.
    fn tweaks(&self, txs: &[TxWithPrevouts<'_>]) -> Result<Vec<Option<PublicKey>>, EngineError> {
        Ok(reference::tweaks(txs))
    }

    /// The hits, ordered by row and then by receiver.
    fn scan(&self, receivers: &[&Prepared], rows: &[&EligibleTx]) -> Result<Vec<Hit>, EngineError>;

    /// Candidate pairs of row and receiver, ordered by row and then by receiver: every pair of [`Engine::scan`], and
    /// rarely a false positive. A [`crate::Search`] finds the outputs, which can cost far more than this call; with
    /// several wallets, run it in steps.
    fn suspects(&self, receivers: &[&Prepared], rows: &[&EligibleTx]) -> Result<Vec<Pair>, EngineError> {
        Ok(reference::suspects(receivers, rows))
    }

    /// Pairs of stored row and receiver with at least one output, ordered by row and then by receiver; [`Engine::scan`]
    /// of the transaction finds the outputs. A row whose tweak is not a point on the curve has none.
    ///
    /// Batches of thousands of rows let an engine decompress points and invert many at once.
    fn scan_stored(&self, receivers: &[&Prepared], rows: &[StoredRow<'_>]) -> Result<Vec<Pair>, EngineError> {
        Ok(reference::scan_stored(receivers, rows))
    }
}

/// The reference engine: one pair of receiver and row at a time over libsecp256k1. It accepts receivers prepared by any
/// engine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Libsecp256k1;

impl Engine for Libsecp256k1 {
    fn name(&self) -> &'static str {
        "libsecp256k1"
    }

    fn scan(&self, receivers: &[&Prepared], rows: &[&EligibleTx]) -> Result<Vec<Hit>, EngineError> {
        Ok(reference::hits(receivers, rows))
    }
}
