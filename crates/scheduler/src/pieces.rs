//! Work for one thread.

use std::ops::Range;
use std::sync::{Arc, Weak};

use sdk_relay_bip352::{Prepared, Search};

use super::{Batch, Owner};

/// A matching row, which is searched in steps.
#[derive(Debug)]
pub(super) struct Searching {
    pub(super) batch: Arc<Batch>,
    pub(super) row: usize,
    pub(super) receiver: Weak<Prepared>,
    /// Its state, once started.
    pub(super) search: Option<Box<Search>>,
    /// Its targets; the first one is charged.
    pub(super) to: Vec<Target>,
}

impl Searching {
    pub(super) fn watches(&self) -> Vec<u64> {
        self.to.iter().flat_map(|to| to.watches.iter().copied()).collect()
    }

    pub(super) fn owners(&self) -> impl Iterator<Item = Owner> + '_ {
        self.to.iter().map(|to| to.owner)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) owner: Owner,
    pub(super) serial: u64,
    pub(super) watches: Arc<[u64]>,
}

/// Work for one thread.
#[derive(Debug)]
pub(super) enum Piece {
    /// Scan rows for matches.
    Scan(Scan),
    /// Continue a search.
    Search(Searching),
}

/// Some rows of a batch, for some keys.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) batch: Arc<Batch>,
    pub(super) rows: Range<usize>,
    pub(super) columns: Vec<Column>,
    /// The tasks of this piece, by owner and serial.
    pub(super) of: Vec<(Owner, u64)>,
}

/// Keys, scanned once for all their owners.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) receiver: Arc<Prepared>,
    pub(super) to: Vec<Target>,
}

impl Scan {
    pub(super) fn owners(&self) -> impl Iterator<Item = Owner> + '_ {
        self.of.iter().map(|(owner, _)| *owner)
    }
}
