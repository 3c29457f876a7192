//! State of detection for `/health`.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

/// State of the wallet of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WalletState {
    /// None is configured.
    #[default]
    None,
    /// It is loaded.
    Open,
    /// It is unavailable, for this reason. Everything else works.
    Unavailable(String),
}

/// Written by detection, read by `/health`.
#[derive(Debug)]
pub struct Vitals {
    tip: AtomicI64,
    watches: AtomicUsize,
    store_fails: AtomicBool,
    mempool_known: AtomicBool,
    wallet: RwLock<WalletState>,
}

impl Vitals {
    /// Initial state of a relay with this tip.
    pub fn new(tip: Option<u32>) -> Self {
        Self {
            tip: AtomicI64::new(tip.map_or(-1, i64::from)),
            watches: AtomicUsize::new(0),
            store_fails: AtomicBool::new(false),
            mempool_known: AtomicBool::new(false),
            wallet: RwLock::default(),
        }
    }

    /// Height of the tip of the event log.
    pub fn tip(&self) -> Option<u32> {
        u32::try_from(self.tip.load(Ordering::Acquire)).ok()
    }

    /// Current number of watches.
    pub fn watches(&self) -> usize {
        self.watches.load(Ordering::Relaxed)
    }

    /// Whether the last commit failed.
    pub fn store_fails(&self) -> bool {
        self.store_fails.load(Ordering::Acquire)
    }

    /// Whether the mempool has been scanned since the start.
    pub fn mempool_known(&self) -> bool {
        self.mempool_known.load(Ordering::Acquire)
    }

    /// State of the wallet of the node.
    pub fn wallet(&self) -> WalletState {
        self.wallet.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records the tip of the event log.
    pub fn set_tip(&self, height: u32) {
        self.tip.store(i64::from(height), Ordering::Release);
    }

    /// Records the number of watches.
    pub fn set_watches(&self, watches: usize) {
        self.watches.store(watches, Ordering::Relaxed);
    }

    /// Whether the last commit failed. Returns whether that is a change.
    pub fn set_store_fails(&self, fails: bool) -> bool {
        self.store_fails.swap(fails, Ordering::AcqRel) != fails
    }

    /// Records that the mempool has been scanned.
    pub fn set_mempool_known(&self) {
        self.mempool_known.store(true, Ordering::Release);
    }

    /// State of the wallet of the node.
    pub fn set_wallet(&self, state: WalletState) {
        *self.wallet.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
