//! The embedded development chain: an in-process chain with regtest parameters, with real blocks and real, signed
//! transactions.
//!
//! [`DevChain`] implements [`ChainSource`](sdk_relay_chain::ChainSource) like a node, so that the relay follows it in
//! the same way. Its wallet mines every block and makes payments. Any regtest node would accept its blocks.
//!
//! Guarantees:
//!
//! - A block or transaction is written to the file before it is announced. After a kill at any moment, the file
//!   contains all that was announced.
//! - Reopening gives the same chain, mempool and wallet. One process at a time has the file open.
//! - The mempool contains only valid transactions, parents before children.
//! - Signals are sent in the order of the changes; a receiver that is too slow receives `Lost` ([`SIGNALS_AHEAD`]).
//!
//! Blocks stay on disk; in memory are an index of them (about 100 bytes each), the unspent coins and the mempool.
//!
//! # The file
//!
//! `devchain.dat`, mode 0600 since it holds the wallet's key, is append-only. Integers are little-endian; "Bitcoin's
//! form" is the consensus encoding.
//!
//! ```text
//! file        = "sdkrdev\n"  version u32 = 1  record*
//! record      = kind u8  length u32  payload[length]  checksum[4]
//! checksum    = the first 4 bytes of SHA-256(kind, length, payload)
//! kind 1      = the wallet's secret, 32 bytes; the first record
//! kind 2      = one or more consecutive blocks: (block in Bitcoin's form, coin*)*
//! coin        = (height << 1 | is coinbase) u32, output in Bitcoin's form; one for each input of the block's
//!               transactions after the coinbase
//! kind 3      = a transaction that entered the mempool, in Bitcoin's form
//! ```
//!
//! The blocks of a record replace all that follow the parent of the first: a record with an older parent than the tip
//! is a reorganisation, and is one record so that it is atomic. Replaced and returned transactions follow from the
//! rules and are not written. An incomplete last record is truncated when the file is opened. Writes are not
//! synchronised to the disk: they survive a kill, but not a power cut.

mod auto_mine;
mod block;
mod curve;
mod error;
mod file;
mod info;
mod ledger;
mod payment;
mod record;
mod signals;
mod source;
mod state;
mod wallet;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bitcoin::{Amount, BlockHash, Txid};

use state::State;

pub use auto_mine::AutoMine;
pub use error::{BadAmount, DevChainError, MineError, PayError, ReorgError, ReplaceError, WriteError};
pub use ledger::Rejection;
pub use signals::SIGNALS_AHEAD;

/// Name of the file in the data directory.
pub const FILE_NAME: &str = "devchain.dat";
/// Most blocks of one [`DevChain::mine`]: a fraction of a second.
pub const MAX_MINED: u32 = 1000;
/// Most blocks that one [`DevChain::reorg`] replaces: deeper ones could revert coinbases that have been spent.
pub const MAX_REORG: u32 = 100;
/// Blocks of a new chain: 20 coinbases can be spent at once, five of each kind of output.
pub const FIRST_BLOCKS: u32 = 119;

/// The development chain. Its methods take microseconds per block or transaction, and block only on the file.
#[derive(Debug)]
pub struct DevChain {
    state: Mutex<State>,
}

impl DevChain {
    /// Opens the chain in `dir`, which must exist, or begins a new one there with [`FIRST_BLOCKS`] blocks.
    pub fn open(dir: &Path) -> Result<Arc<Self>, DevChainError> {
        let state = Mutex::new(State::open(dir.join(FILE_NAME))?);
        let chain = Self { state };
        // An interrupted first start continues where it ended.
        let missing = FIRST_BLOCKS.saturating_sub(chain.state().ledger.tip().height);
        for _ in 0..missing {
            chain.state().mine()?;
        }
        Ok(Arc::new(chain))
    }

    /// Mines `n` blocks with the mempool, and returns their hashes, lowest first.
    pub fn mine(&self, n: u32) -> Result<Vec<BlockHash>, MineError> {
        if n > MAX_MINED {
            return Err(MineError::TooMany { requested: n });
        }
        // One lock for each block: so that other callers can proceed in between.
        let hashes = (0..n).map(|_| self.state().mine());
        Ok(hashes.collect::<Result<_, _>>()?)
    }

    /// Pays `amount` to a silent-payment address (`sprt1…`) or any other regtest address, from the wallet. The
    /// transaction is then in the mempool, and the payment is its output 0.
    pub fn pay(&self, address: &str, amount: Amount) -> Result<Txid, PayError> {
        let payee = payment::Payee::parse(address)?;
        let mut state = self.state();
        let tx = payment::pay(&state.ledger, &state.wallet, &payee, amount)?;
        let accepted = state.ledger.check(&tx).map_err(PayError::Refused)?;
        Ok(state.enter(accepted)?)
    }

    /// Replaces an unconfirmed payment of the wallet by a transaction that spends the same coins back to the wallet, at
    /// a higher fee. Returns its txid. Transactions that spend the payment are evicted.
    pub fn replace(&self, txid: Txid) -> Result<Txid, ReplaceError> {
        let mut state = self.state();
        let old = state
            .ledger
            .mempool
            .get(&txid)
            .ok_or(ReplaceError::NotInMempool(txid))?;
        let tx = payment::take_back(&state.ledger, &state.wallet, old).ok_or(ReplaceError::NotOurs(txid))?;
        let accepted = state.ledger.check(&tx).map_err(ReplaceError::Refused)?;
        Ok(state.enter(accepted)?)
    }

    /// Replaces the last `depth` blocks (1 to [`MAX_REORG`]) by `depth + 1` empty ones; returns their hashes, lowest
    /// first. The transactions of the replaced blocks return to the mempool.
    pub fn reorg(&self, depth: u32) -> Result<Vec<BlockHash>, ReorgError> {
        self.state().reorg(depth)
    }

    /// Spendable balance of the wallet.
    pub fn balance(&self) -> Amount {
        let state = self.state();
        payment::balance(&state.ledger, &state.wallet)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics in the middle of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
