//! A scanner that never fails: the reference engine takes over when its engine fails.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bitcoin::secp256k1::PublicKey;

use crate::batch::{Hit, Pair, Prepared, StoredRow, TxWithPrevouts};
use crate::engine::{Engine, EngineError};
use crate::input::EligibleTx;
use crate::keys::Receiver;
use crate::reference;

/// Called with the name of the engine and the error when it starts to fail, and with `None` when it works again.
pub type OnChange = fn(&'static str, Option<&EngineError>);

/// An engine, with the reference engine as the fallback of each failed call: a lost device costs time but never loses a
/// payment. Clones share it.
#[derive(Clone)]
pub struct Scanner {
    engine: Arc<dyn Engine>,
    failing: Arc<AtomicBool>,
    on_change: OnChange,
}

impl Scanner {
    /// Scans with `engine`.
    pub fn new(engine: Arc<dyn Engine>, on_change: OnChange) -> Self {
        Self {
            engine,
            failing: Arc::default(),
            on_change,
        }
    }

    /// The engine's name.
    pub fn name(&self) -> &'static str {
        self.engine.name()
    }

    /// See [`Engine::prepare`].
    pub fn prepare(&self, receiver: Receiver) -> Prepared {
        self.engine.prepare(receiver)
    }

    /// See [`Engine::preferred_batch`].
    pub fn preferred_batch(&self) -> usize {
        self.engine.preferred_batch()
    }

    /// See [`Engine::tweaks`].
    pub fn tweaks(&self, txs: &[TxWithPrevouts<'_>]) -> Vec<Option<PublicKey>> {
        self.given(self.engine.tweaks(txs))
            .unwrap_or_else(|| reference::tweaks(txs))
    }

    /// See [`Engine::scan`].
    pub fn scan(&self, receivers: &[&Prepared], rows: &[&EligibleTx]) -> Vec<Hit> {
        self.given(self.engine.scan(receivers, rows))
            .unwrap_or_else(|| reference::hits(receivers, rows))
    }

    /// See [`Engine::suspects`].
    pub fn suspects(&self, receivers: &[&Prepared], rows: &[&EligibleTx]) -> Vec<Pair> {
        self.given(self.engine.suspects(receivers, rows))
            .unwrap_or_else(|| reference::suspects(receivers, rows))
    }

    /// See [`Engine::scan_stored`].
    pub fn scan_stored(&self, receivers: &[&Prepared], rows: &[StoredRow<'_>]) -> Vec<Pair> {
        self.given(self.engine.scan_stored(receivers, rows))
            .unwrap_or_else(|| reference::scan_stored(receivers, rows))
    }

    /// The result of the engine; a change between working and failing is reported once.
    fn given<T>(&self, answer: Result<T, EngineError>) -> Option<T> {
        if self.failing.load(Ordering::Relaxed) != answer.is_err()
            && self.failing.swap(answer.is_err(), Ordering::Relaxed) != answer.is_err()
        {
            (self.on_change)(self.engine.name(), answer.as_ref().err());
        }
        answer.ok()
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scanner").field(&self.engine.name()).finish()
    }
}

#[cfg(test)]
mod tests;
