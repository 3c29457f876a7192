//! Silent payments (BIP352, version 1.1.1): pure computation, no I/O.
//!
//! A transaction is converted to an [`EligibleTx`] once, for any number of wallets: its tweak (`input_hash·A`) and its
//! taproot outputs. An [`Engine`] then finds the outputs of each [`Receiver`]. [`send`] computes outputs, [`spend`] the
//! key of a found one.
//!
//! Guarantees: no function panics, whatever its input. Scan keys and output tweaks are erased when dropped, their
//! `Debug` shows nothing, and no error contains a secret.

#![forbid(unsafe_code)]

pub mod address;
pub mod batch;
mod curve;
pub mod engine;
pub mod fast;
mod hash;
pub mod input;
pub mod keys;
mod reference;
pub mod scan;
pub mod scanner;
pub mod send;
mod shared_secret;
pub mod spend;
mod stack;

pub use address::{AddressError, Network, SilentPaymentAddress};
pub use batch::{Hit, Pair, Prepared, StoredRow, TxWithPrevouts};
pub use engine::{Engine, EngineError, Libsecp256k1};
pub use fast::Fast;
pub use input::{EligibleTx, TaprootOutput, has_tweak, input_public_key, public_key_sum, tweak};
pub use keys::{LabelError, Receiver, ScanKey, ScanKeyError};
pub use scan::{Match, Search, scan};
pub use scanner::Scanner;
pub use spend::OutputTweak;
pub use stack::wipe_stack_below;

/// Largest number of outputs of one transaction for one scan key (`K_max`, BIP352 "Scanning"). It bounds the work that
/// a hostile transaction can cause.
pub const K_MAX: u32 = 2323;
