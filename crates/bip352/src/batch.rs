//! Input and output of engines.

use std::any::Any;
use std::fmt;
use std::ops::Deref;

use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, Transaction, TxOut, Txid};

use crate::input::{EligibleTx, TaprootOutput};
use crate::keys::Receiver;
use crate::scan::Match;

/// The payments of one transaction to one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Index in the given receivers.
    pub receiver: usize,
    /// Index in the given rows.
    pub row: usize,
    /// The outputs, never empty, in the order of k.
    pub matches: Vec<Match>,
}

/// A transaction as an index stores it: its points are compressed, and its keys need not be on the curve.
#[derive(Clone, Copy, Debug)]
pub struct StoredRow<'a> {
    /// `input_hash·A`, compressed.
    pub tweak: &'a [u8; 33],
    /// The x coordinates of its taproot outputs, in the transaction's order.
    pub outputs: &'a [[u8; 32]],
}

/// A row with a payment to a receiver: `(row, receiver)`, indices in the input.
pub type Pair = (usize, usize);

/// A transaction, and the outputs that it spends: one for each input, in order.
pub type TxWithPrevouts<'a> = (&'a Transaction, &'a [TxOut]);

/// A receiver, with the tables that an engine has precomputed for it ([`crate::Engine::prepare`]).
///
/// It dereferences to [`Receiver`]. Every engine with the same kind of tables accepts it.
pub struct Prepared {
    receiver: Receiver,
    tables: Option<Box<dyn Any + Send + Sync>>,
}

impl Prepared {
    /// For an engine without tables.
    pub fn plain(receiver: Receiver) -> Self {
        Self { receiver, tables: None }
    }

    /// With the tables of an engine, whose `Drop` must zeroise secrets.
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
    /// Input of the reference engine; the fields that it does not use stay empty.
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
