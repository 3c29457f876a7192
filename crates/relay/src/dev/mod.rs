//! Play money: what is behind `/dev/mine` and `/dev/pay`.

mod faucet;

use std::sync::Arc;

use bitcoin::{Amount, BlockHash, Txid};
use sdk_relay_chain::SourceError;
use sdk_relay_devchain::{DevChain, PayError};

pub use faucet::Faucet;

/// Blocks that one request may mine: a month's worth takes a node a second.
pub const MOST_BLOCKS: u32 = 1000;

/// Mines and pays, on the embedded chain or on a node.
pub enum DevTools {
    /// The embedded chain does both itself.
    Embedded(Arc<DevChain>),
    /// The node mines, its wallet pays.
    Node(Faucet),
}

/// Why there is no block or no payment.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The address is none, or of another network.
    #[error("{0}")]
    Address(String),
    /// The amount cannot be paid.
    #[error("{0}")]
    Amount(String),
    /// What it needs is not there: a wallet, or blocks that anybody may mine.
    #[error("{0}")]
    Unavailable(String),
    /// The node did not answer.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A fault of the program.
    #[error("{0}")]
    Failed(String),
}

impl DevTools {
    /// Mines blocks, at most [`MOST_BLOCKS`].
    pub async fn mine(&self, blocks: u32) -> Result<Vec<BlockHash>, DevError> {
        match self {
            Self::Embedded(chain) => {
                let chain = Arc::clone(chain);
                on_a_blocking_thread(move || chain.mine(blocks))
                    .await?
                    .map_err(|e| DevError::Failed(e.to_string()))
            }
            Self::Node(faucet) => faucet.mine(blocks).await,
        }
    }

    /// Pays a silent-payment address or any other of the network; the transaction is in the mempool then.
    pub async fn pay(&self, address: &str, amount: Amount) -> Result<Txid, DevError> {
        match self {
            Self::Embedded(chain) => {
                let (chain, address) = (Arc::clone(chain), address.to_owned());
                Ok(on_a_blocking_thread(move || chain.pay(&address, amount)).await??)
            }
            Self::Node(faucet) => faucet.pay(address, amount).await,
        }
    }
}

/// The embedded chain computes and writes its file: not on the threads that serve sockets.
async fn on_a_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, DevError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| DevError::Failed(e.to_string()))
}

impl From<PayError> for DevError {
    fn from(error: PayError) -> Self {
        let told = error.to_string();
        match error {
            PayError::Address(_) | PayError::WrongNetwork { .. } | PayError::Underivable(_) => Self::Address(told),
            PayError::Amount(_) => Self::Amount(told),
            PayError::Refused(_) => Self::Unavailable(told),
            PayError::Write(_) => Self::Failed(told),
        }
    }
}
