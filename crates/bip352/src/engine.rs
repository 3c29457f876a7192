//! Scanning many transactions for many wallets, behind an interface that faster engines share.

use bitcoin::secp256k1::PublicKey;

use crate::batch::{Hit, Pair, Prepared, StoredRow, TxWithPrevouts};
use crate::input::EligibleTx;
use crate::keys::Receiver;
use crate::reference;

/// Rows of one call, for engines that have no preference: enough to share an inversion among many.
const ORDINARY_BATCH: usize = 512;

/// Why an engine gave no answer. A [`crate::Scanner`] asks the reference in its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A receiver without the engine's tables.
    #[error("a receiver was prepared by another engine")]
    ForeignReceiver,
    /// The device is lost, out of memory, or answers wrongly.
    #[error("{0}")]
    Device(String),
}

/// Scans every row for every receiver. All engines give the same results for the same input. What an engine does not
/// bring itself the reference does.
///
/// A call is pure computation on the calling thread; callers on an asynchronous runtime move it off the runtime's
/// threads and choose the size of a batch.
pub trait Engine: Send + Sync {
    /// The name, for logs and settings.
    fn name(&self) -> &'static str;

    /// Computes once what each scan for this receiver needs.
    fn prepare(&self, receiver: Receiver) -> Prepared {
        Prepared::plain(receiver)
    }

    /// Rows of one call from which on larger calls are not faster for each row.
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

    /// Which rows may hold something for which receiver, ordered by row and then by receiver: every pair that
    /// [`Engine::scan`] gives, and rarely another. A [`crate::Search`] finds the outputs, which can cost far more than
    /// this did: whoever serves several wallets does it in steps.
    fn suspects(&self, receivers: &[&Prepared], rows: &[&EligibleTx]) -> Result<Vec<Pair>, EngineError> {
        Ok(reference::suspects(receivers, rows))
    }

    /// Which rows of an index hold at least one output of which receiver, ordered by row and then by receiver; the
    /// transaction itself holds the rest (see [`Engine::scan`]). A row whose tweak is no point of the curve holds
    /// nothing.
    ///
    /// Batches of thousands of rows let an engine decompress points and invert many at once.
    fn scan_stored(&self, receivers: &[&Prepared], rows: &[StoredRow<'_>]) -> Result<Vec<Pair>, EngineError> {
        Ok(reference::scan_stored(receivers, rows))
    }
}

/// The reference engine: one pair of receiver and row at a time over libsecp256k1. It takes receivers that any engine
/// prepared.
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
