//! Why the development chain refuses.

use std::path::PathBuf;
use std::{fmt, io};

use bitcoin::{Amount, Txid};

use super::ledger::Rejection;

/// Why the chain's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DevChainError {
    /// The operating system refuses.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("{} is in use by another process: stop it, or choose another data directory", .0.display())]
    InUse(PathBuf),
    /// It does not begin as such a file does.
    #[error("{} is not the file of a development chain: move it away to start a new chain", .0.display())]
    NotADevChain(PathBuf),
    /// A later version wrote it.
    #[error("{path} has format version {found}, this program supports {known}: update the program, or move the file away", path = path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: u32,
        /// What is known here.
        known: u32,
    },
    /// Something before the last record is wrong.
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
#[error("cannot write {path}: {source}", path = path.display())]
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
    #[error("{asked} blocks requested: expected at most {max}", max = super::MAX_MINED)]
    TooMany {
        /// How many were asked for.
        asked: u32,
    },
    /// Blocks before it may have been mined.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why the chain was not reorganised.
#[derive(Debug, thiserror::Error)]
pub enum ReorgError {
    /// Nothing to replace, or more than there is, or beyond [`super::MAX_REORG`].
    #[error("a reorg of {asked} blocks was requested: expected 1 to {most}")]
    Depth {
        /// How many were asked for.
        asked: u32,
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

/// What is wrong with an amount.
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
        /// The most that one payment can bring now, fee included.
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

/// Why nothing was paid.
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
    /// No key can be derived for the address with the chosen coins, which an honest address does not bring about.
    #[error("{0}")]
    Underivable(String),
    /// The chain does not take the transaction, such as when its mempool is full.
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
    /// Somebody else signed it.
    #[error("{0} spends coins of another wallet: only payments of the development wallet can be replaced")]
    NotOurs(Txid),
    /// Its inputs cannot bear a higher fee, or the chain does not take the replacement.
    #[error("the replacement is rejected: {0}")]
    Refused(Rejection),
    /// The replacement could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}
