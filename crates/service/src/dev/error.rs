//! Errors of mining and paying.

use sdk_relay_chain::SourceError;
use sdk_relay_chain::node::WalletError;
use sdk_relay_chain::rpc::code;
use sdk_relay_devchain::{MineError, PayError};

/// Why mining or paying failed.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The address is invalid, or of another network.
    #[error("{0}")]
    Address(String),
    /// The amount cannot be paid.
    #[error("{0}")]
    Amount(String),
    /// A requirement is missing: a wallet, or blocks that can be mined (not on signet).
    #[error("{0}")]
    Unavailable(String),
    /// The node did not answer.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An internal error.
    #[error("{0}")]
    Failed(String),
}

impl From<PayError> for DevError {
    fn from(error: PayError) -> Self {
        let message = error.to_string();
        match error {
            PayError::Address(_) | PayError::WrongNetwork { .. } | PayError::Underivable(_) => Self::Address(message),
            PayError::Amount(_) => Self::Amount(message),
            PayError::Refused(_) => Self::Unavailable(message),
            // The disk is full, or fails: the developer can do something.
            PayError::Write(_) => Self::Unavailable(message),
        }
    }
}

impl From<MineError> for DevError {
    fn from(error: MineError) -> Self {
        let message = error.to_string();
        match error {
            MineError::TooMany { .. } => Self::Failed(message),
            MineError::Write(_) => Self::Unavailable(message),
        }
    }
}

impl From<WalletError> for DevError {
    fn from(error: WalletError) -> Self {
        match error {
            // It is loading, or cannot estimate a fee: independent of the amount.
            WalletError::Refused(ref reason) if reason.code == code::WALLET => Self::Unavailable(error.to_string()),
            WalletError::Refused(_) => Self::Amount(error.to_string()),
            WalletError::Unavailable { .. } => Self::Unavailable(error.to_string()),
            WalletError::Source(error) => Self::Source(error),
        }
    }
}
