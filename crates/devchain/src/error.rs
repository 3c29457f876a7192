//! Errors of the development chain.

use std::path::PathBuf;
use std::{fmt, io};

use bitcoin::{Amount, Txid};

use sdk_relay_files::reason;

use super::ledger::Rejection;

/// Why the file of the chain cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DevChainError {
    /// An operating system error.
    #[error("the development chain: {0}")]
    Io(io::Error),
    /// Another process has it open.
    #[error("{} is in use by another process: stop it, or choose another data directory", .0.display())]
    InUse(PathBuf),
    /// Its header is invalid.
    #[error("{} is not the file of a development chain: move it away to start a new chain", .0.display())]
    NotADevChain(PathBuf),
    /// A later version wrote it.
    #[error("{path} has format version {found}, this program supports {known}: update the program, or move the file away", path = path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Version of the file.
        found: u32,
        /// Supported version.
        known: u32,
    },
    /// It is damaged before its last record.
    #[error("{path} is damaged at byte {offset} ({reason}): move it away to start a new chain", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damaged record begins.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// The first blocks could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A record could not be written; the chain is as it was before.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {}", reason(.source), path = path.display())]
pub struct WriteError {
    /// The chain's file.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

/// Why no block was mined.
#[derive(Debug, thiserror::Error)]
pub enum MineError {
    /// Beyond [`super::MAX_MINED`].
    #[error("{requested} blocks requested: expected at most {max}", max = super::MAX_MINED)]
    TooMany {
        /// Requested number.
        requested: u32,
    },
    /// Blocks before it may have been mined.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why the chain was not reorganised.
#[derive(Debug, thiserror::Error)]
pub enum ReorgError {
    /// The depth is zero, exceeds the chain, or exceeds [`super::MAX_REORG`].
    #[error("a reorg of {requested} blocks was requested: expected 1 to {most}")]
    Depth {
        /// Requested number.
        requested: u32,
        /// How many may be replaced now.
        most: u32,
    },
    /// A block to be replaced cannot be read.
    #[error("cannot read {path}: {reason}", path = path.display())]
    Read {
        /// The chain's file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The new blocks could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why an amount is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadAmount {
    /// Nothing to pay.
    Zero,
    /// No node would relay an output that small.
    Dust {
        /// Least amount for this address.
        least: Amount,
    },
    /// More than the wallet has.
    TooLarge {
        /// Largest amount of one payment now, including the fee.
        available: Amount,
    },
}

impl fmt::Display for BadAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => f.write_str("the amount is zero"),
            Self::Dust { least } => write!(f, "the amount is below the dust limit: pay at least {least}"),
            Self::TooLarge { available } => write!(
                f,
                "the development wallet can pay at most {available} in one transaction, including the fee: mine blocks, or pay less"
            ),
        }
    }
}

/// Why a payment failed.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// Neither a silent-payment address nor a Bitcoin address.
    #[error("not an address: {0}")]
    Address(String),
    /// An address of another chain.
    #[error("the address is for {0}: expected a regtest address (sprt1… or bcrt1…)")]
    WrongNetwork(&'static str),
    /// An amount that cannot be paid.
    #[error("{0}")]
    Amount(BadAmount),
    /// No key can be derived for the address with the chosen coins, which does not happen with an honest address.
    #[error("{0}")]
    Underivable(String),
    /// The chain rejects the transaction, for example because its mempool is full.
    #[error("the payment is rejected: {0}")]
    Refused(Rejection),
    /// The transaction could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why a transaction was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// Mined, replaced, or never seen.
    #[error("{0} is not in the mempool")]
    NotInMempool(Txid),
    /// It is not signed by this wallet.
    #[error("{0} spends coins of another wallet: only payments of the development wallet can be replaced")]
    NotOurs(Txid),
    /// Its inputs cannot pay a higher fee, or the chain rejects the replacement.
    #[error("the replacement is rejected: {0}")]
    Refused(Rejection),
    /// The replacement could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}
