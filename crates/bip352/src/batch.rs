//! What an engine is given, and what it gives.

use std::any::Any;
use std::fmt;
use std::ops::Deref;

use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, Transaction, TxOut, Txid};

use crate::input::{EligibleTx, TaprootOutput};
use crate::keys::Receiver;
use crate::scan::Match;

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

/// A transaction as an index stores it: no point of it has been decompressed, and none of its keys need lie on the
/// curve.
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

/// A receiver, and what an engine has computed for it once ([`crate::Engine::prepare`]).
///
/// It is a [`Receiver`] for whoever reads its keys. Any engine takes it that prepares receivers in the same way.
pub struct Prepared {
    receiver: Receiver,
    tables: Option<Box<dyn Any + Send + Sync>>,
}

impl Prepared {
    /// For an engine that needs nothing but the receiver.
    pub fn plain(receiver: Receiver) -> Self {
        Self { receiver, tables: None }
    }

    /// With an engine's own tables. What is secret of them is wiped by their `Drop`.
    pub fn with_tables<T: Send + Sync + 'static>(receiver: Receiver, tables: T) -> Self {
        Self {
            receiver,
            tables: Some(Box::new(tables)),
        }
    }

    /// The tables, if an engine with tables of this type prepared the receiver.
    pub fn tables<T: 'static>(&self) -> Option<&T> {
        self.tables.as_ref()?.downcast_ref()
    }
}

impl Deref for Prepared {
    type Target = Receiver;

    fn deref(&self) -> &Receiver {
        &self.receiver
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
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
