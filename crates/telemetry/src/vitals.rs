//! A few figures that detection keeps for whoever asks after its health.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

/// How the node's wallet is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WalletState {
    /// None is configured.
    #[default]
    None,
    /// It is loaded.
    Open,
    /// It cannot be had, and why. Everything else works.
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
    /// Of a relay whose log reaches up to the block at this height.
    pub fn new(tip: Option<u32>) -> Self {
        Self {
            tip: AtomicI64::new(tip.map_or(-1, i64::from)),
            watches: AtomicUsize::new(0),
            store_fails: AtomicBool::new(false),
            mempool_known: AtomicBool::new(false),
            wallet: RwLock::default(),
        }
    }

    /// Height up to which events are logged.
    pub fn tip(&self) -> Option<u32> {
        u32::try_from(self.tip.load(Ordering::Acquire)).ok()
    }

    /// Watches held now.
    pub fn watches(&self) -> usize {
        self.watches.load(Ordering::Relaxed)
    }

    /// Whether the last commit failed.
    pub fn store_fails(&self) -> bool {
        self.store_fails.load(Ordering::Acquire)
    }

    /// Whether the mempool has been looked through since the start.
    pub fn mempool_known(&self) -> bool {
        self.mempool_known.load(Ordering::Acquire)
    }

    /// How the node's wallet is doing.
    pub fn wallet(&self) -> WalletState {
        self.wallet.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Detection has logged the events up to the block at this height.
    pub fn set_tip(&self, height: u32) {
        self.tip.store(i64::from(height), Ordering::Release);
    }

    /// Detection holds so many watches.
    pub fn set_watches(&self, watches: usize) {
        self.watches.store(watches, Ordering::Relaxed);
    }

    /// Whether the last commit failed. Returns whether that is a change.
    pub fn set_store_fails(&self, fails: bool) -> bool {
        self.store_fails.swap(fails, Ordering::AcqRel) != fails
    }

    /// The mempool has been looked through.
    pub fn set_mempool_known(&self) {
        self.mempool_known.store(true, Ordering::Release);
    }

    /// How the node's wallet is doing.
    pub fn set_wallet(&self, state: WalletState) {
        *self.wallet.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
