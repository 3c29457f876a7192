//! Development tools of `/dev/mine` and `/dev/pay`.

mod error;
mod faucet;

use std::sync::Arc;

use bitcoin::{Amount, BlockHash, Txid};
use sdk_relay_devchain::DevChain;
use sdk_relay_platform::blocking;

pub use error::DevError;
pub use faucet::Faucet;

/// Largest number of blocks of one request, which takes a node about a second.
pub const MOST_BLOCKS: u32 = 1000;

/// Mines and pays, on the embedded chain or on a node.
pub enum DevTools {
    /// The embedded chain does both itself.
    Embedded(Arc<DevChain>),
    /// The node mines, its wallet pays.
    Node(Faucet),
}

impl DevTools {
    /// Mines blocks, at most [`MOST_BLOCKS`].
    pub async fn mine(&self, blocks: u32) -> Result<Vec<BlockHash>, DevError> {
        match self {
            Self::Embedded(chain) => {
                let chain = Arc::clone(chain);
                on_a_blocking_thread(move || chain.mine(blocks))
                    .await?
                    .map_err(DevError::from)
            }
            Self::Node(faucet) => faucet.mine(blocks).await,
        }
    }

    /// Pays a silent-payment address or any other of the network; the transaction is then in the mempool.
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

/// Runs blocking work of the embedded chain outside the threads that serve sockets.
async fn on_a_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, DevError> {
    blocking::spawn(work).await.map_err(|e| DevError::Failed(e.to_string()))
}
