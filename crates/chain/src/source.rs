//! Where blocks and transactions come from: a node, or the development chain.

use async_trait::async_trait;
use bitcoin::block::Header;
use bitcoin::{Amount, BlockHash, OutPoint, Transaction, Txid};
use tokio::time::Instant;

use crate::event::{BlockRef, BlockWithPrevouts, MempoolTx};
use crate::signals::Signals;

pub use crate::signals::Signal;

/// Why a source did not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// The connection failed or the reply was cut off: retry later.
    #[error(
        "{at} does not answer: {reason}; start the node (bitcoin-qt needs server=1 in bitcoin.conf), or correct bitcoin_core.url"
    )]
    Unreachable {
        /// Address of the node.
        at: String,
        /// Message of the transport.
        reason: String,
    },
    /// The SOCKS proxy on the way to the node is down, or rejects the relay: retry later.
    #[error("{reason}: the node {at} cannot be reached; start the proxy, or correct bitcoin_core.proxy")]
    Proxy {
        /// Address of the node.
        at: String,
        /// The error of the proxy, with its address.
        reason: String,
    },
    /// The node refuses the credentials.
    #[error("{at} refuses the credentials: {reason}")]
    Unauthorized {
        /// Address of the node.
        at: String,
        /// The credentials that were sent, without a secret, and what to do.
        reason: String,
    },
    /// The node needs its cookie, and no cookie file can be read.
    #[error("no credentials for {at}: {reason}")]
    NoCookie {
        /// Address of the node.
        at: String,
        /// The files, why they cannot be read, and what to do.
        reason: String,
    },
    /// The node follows another chain.
    #[error(
        "{at} is a node of the chain {}, and the relay is configured for {}: check network and bitcoin_core.url",
        network_name(.found),
        network_name(.expected)
    )]
    WrongChain {
        /// Address of the node.
        at: String,
        /// Its chain, as in `getblockchaininfo`.
        found: String,
        /// Ours.
        expected: String,
    },
    /// The node is starting, or is busy with its initial block download.
    #[error("{at} is not ready: {reason}")]
    Warming {
        /// Address of the node.
        at: String,
        /// Message of the node, such as "Loading block index…".
        reason: String,
    },
    /// The block is known, but its data was pruned.
    #[error("the node has pruned block {0}")]
    Pruned(BlockHash),
    /// The node knows no such block.
    #[error("the node does not know block {0}")]
    NoSuchBlock(BlockHash),
    /// The node answered with an RPC error that this operation does not expect.
    #[error("{method}: {message} (code {code})")]
    Rpc {
        /// RPC method.
        method: String,
        /// Error code of the RPC interface (`src/rpc/protocol.h` of Bitcoin Core).
        code: i64,
        /// The node's message.
        message: String,
    },
    /// The reply cannot be parsed.
    #[error("cannot parse {what}: {reason}")]
    Malformed {
        /// The request.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// How changes of the chain and of the mempool reach the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventSource {
    /// The development chain runs in this process.
    Embedded,
    /// The node announces every change over ZMQ.
    Zmq,
    /// The node announces blocks or transactions over ZMQ, but not every change (topic `sequence`): it is polled too.
    ZmqWithoutSequence,
    /// The node is polled once a second.
    Polling,
}

impl EventSource {
    /// All values.
    pub const ALL: [Self; 4] = [Self::Embedded, Self::Zmq, Self::ZmqWithoutSequence, Self::Polling];

    /// Its name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Zmq => "zmq",
            Self::ZmqWithoutSequence => "zmq without sequence",
            Self::Polling => "polling",
        }
    }
}

/// State of the connection that carries the signals of a source.
#[derive(Clone, Debug)]
pub struct Signalling {
    /// Its address; `None` if the node publishes no signals.
    pub url: Option<String>,
    /// Whether the node has reported this address; otherwise it is configured.
    pub is_reported: bool,
    /// Whether there is a connection now.
    pub is_connected: bool,
    /// Since when it is unreachable, and why.
    pub unreached: Option<(Instant, String)>,
    /// Why the last connection has ended, if several have ended within minutes.
    pub keeps_ending: Option<String>,
    /// Topics that the node does not publish there, according to the node.
    pub missing: Option<String>,
    /// Whether changes of the mempool or of the chain are among them and have to be polled.
    pub is_partial: bool,
}

/// The mempool at one moment (`getrawmempool false true`).
#[derive(Clone, Debug, Default)]
pub struct MempoolSnapshot {
    /// Every transaction in it.
    pub txids: Vec<Txid>,
    /// Mempool sequence number; signals up to and including it are in the snapshot.
    pub sequence: u64,
}

/// Fee rates in satoshis per 1,000 virtual bytes, the resolution of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeeRates {
    /// For each number of blocks: the rate with which a transaction is likely to be in one of them
    /// (`estimatesmartfee`); `None` while the node has observed too few transactions.
    pub estimates: Vec<(u16, Option<u64>)>,
    /// Least rate that enters the mempool now (`mempoolminfee`): above `relay_minimum` while the mempool is full.
    pub mempool_minimum: u64,
    /// Least rate that the node ever relays (`minrelaytxfee`).
    pub relay_minimum: u64,
}

/// Answers to `GET /bitcoin/info`, as the node gave them.
#[derive(Clone, Debug)]
pub struct NodeInfo {
    /// Reply of `getblockchaininfo`.
    pub blockchain: serde_json::Value,
    /// Reply of `getnetworkinfo`.
    pub network: serde_json::Value,
    /// Reply of `getmempoolinfo`.
    pub mempool: serde_json::Value,
}

/// The name of a chain of `getblockchaininfo` in the settings of the relay.
fn network_name(chain: &str) -> &str {
    match chain {
        "main" => "mainnet",
        "test" => "testnet",
        other => other,
    }
}

/// Synchronisation status of the source.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceStatus {
    /// Chain name as in `getblockchaininfo`: `main`, `test`, `testnet4`, `signet`, `regtest`.
    pub chain: String,
    /// Best block.
    pub tip: BlockRef,
    /// Height of the best header; larger than the tip's while the source is syncing.
    pub headers: u32,
    /// `initialblockdownload` of `getblockchaininfo`.
    pub initial_block_download: bool,
    /// Lowest block whose data is kept, on a pruned node.
    pub prune_height: Option<u32>,
}

impl SourceStatus {
    /// Whether the source is in its initial block download, so that its tip is not the tip of the network. A regtest
    /// node reports this until a block of the last 24 hours.
    pub fn is_syncing(&self) -> bool {
        let arrived = self.chain == "regtest" || (self.tip.height > 0 && self.tip.height == self.headers);
        self.initial_block_download && !arrived
    }
}

/// Why a broadcast failed (`sendrawtransaction`).
#[derive(Clone, Debug, thiserror::Error)]
pub enum BroadcastError {
    /// The transaction is not acceptable; the node's own reason.
    #[error("{0}")]
    Rejected(String),
    /// The request to the node failed.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// A transaction in a block of the best chain.
#[derive(Clone, Debug)]
pub struct ConfirmedTx {
    /// The transaction.
    pub tx: Transaction,
    /// Its block.
    pub block: BlockRef,
    /// The height of the tip minus that of its block, plus one.
    pub confirmations: u32,
    /// Its fee; `None` for a coinbase, and where the source does not know it.
    pub fee: Option<Amount>,
}

/// A package that the source has accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceptedPackage {
    /// Transactions of the mempool that it has replaced.
    pub replaced: Vec<Txid>,
}

/// Why the broadcast of a package failed (`submitpackage`).
#[derive(Clone, Debug, thiserror::Error)]
pub enum PackageError {
    /// It is not acceptable as a whole.
    #[error("{reason}")]
    Rejected {
        /// The node's own reason.
        reason: String,
        /// The reason for each transaction that has one of its own.
        transactions: Vec<(Txid, String)>,
        /// Transactions that were accepted nevertheless.
        accepted: Vec<Txid>,
    },
    /// The request to the node failed.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Outputs by which a node without `txindex` finds a confirmed transaction.
pub const OUTPUTS_TRIED: u32 = 10;

/// The median time in a reply of `getblock` or `getblockheader`.
pub(crate) fn median_time_in(reply: &serde_json::Value) -> Result<u64, SourceError> {
    reply["mediantime"].as_u64().ok_or_else(|| SourceError::Malformed {
        what: "a block".to_owned(),
        reason: "it has no mediantime".to_owned(),
    })
}

/// Blocks and transactions, on demand. Implementations: [`crate::node::NodeSource`], and `DevChain` of the crate
/// `devchain`.
///
/// Every method may be called from several tasks at once. None retries by itself; the follower does.
#[async_trait]
pub trait ChainSource: Send + Sync + 'static {
    /// Current status of the source.
    async fn status(&self) -> Result<SourceStatus, SourceError>;
    /// The best block only; cheap enough for every poll.
    async fn tip(&self) -> Result<BlockRef, SourceError>;
    /// Hash of the block at `height` in the best chain, `None` above its tip (`getblockhash`).
    async fn hash_at(&self, height: u32) -> Result<Option<BlockHash>, SourceError>;
    /// A block with its prevouts.
    async fn block(&self, hash: BlockHash) -> Result<BlockWithPrevouts, SourceError>;
    /// The mempool as it stands.
    async fn mempool(&self) -> Result<MempoolSnapshot, SourceError>;
    /// Mempool transactions with their prevouts, in batches inside. `known` holds transactions that the caller already
    /// has. A transaction that has left the mempool, or whose parent has, is omitted from the result.
    async fn transactions(&self, wanted: &[Txid], known: Vec<Transaction>) -> Result<Vec<MempoolTx>, SourceError>;
    /// For each outpoint, the mempool transaction that spends it (`gettxspendingprevout`).
    async fn spenders(&self, outpoints: &[OutPoint]) -> Result<Vec<Option<Txid>>, SourceError>;
    /// Finds a confirmed transaction: in this block or, without one, where the source can find it. A node finds one
    /// with an unspent output among its first [`OUTPUTS_TRIED`], and any with `txindex=1`.
    async fn confirmed(&self, txid: Txid, block: Option<BlockHash>) -> Result<Option<ConfirmedTx>, SourceError> {
        let Some(hash) = block else { return Ok(None) };
        let (block, info, tip) = (self.block(hash).await?, self.block_info(hash).await?, self.tip().await?);
        let height = info["height"].as_u64().and_then(|height| u32::try_from(height).ok());
        let height = height.ok_or_else(|| SourceError::Malformed {
            what: "a block".to_owned(),
            reason: "it has no height".to_owned(),
        })?;
        let mut txs = block.block.txdata.into_iter().zip(&block.prevouts);
        let found = txs.find(|(tx, _)| tx.compute_txid() == txid);
        Ok(found.map(|(tx, prevouts)| ConfirmedTx {
            fee: crate::event::fee(&tx, prevouts),
            tx,
            block: BlockRef { height, hash },
            confirmations: (tip.height + 1).saturating_sub(height),
        }))
    }
    /// Sends a transaction to the network (`sendrawtransaction`).
    async fn broadcast(&self, tx: &Transaction) -> Result<Txid, BroadcastError>;
    /// Sends transactions to the network that are accepted by the fee of all: parents first, then the child that spends
    /// them (`submitpackage`). A source without packages takes them one by one.
    async fn broadcast_package(&self, package: &[Transaction]) -> Result<AcceptedPackage, PackageError> {
        let mut accepted = Vec::new();
        for tx in package {
            match self.broadcast(tx).await {
                Ok(txid) => accepted.push(txid),
                Err(BroadcastError::Source(error)) => return Err(error.into()),
                Err(BroadcastError::Rejected(reason)) => {
                    return Err(PackageError::Rejected {
                        transactions: vec![(tx.compute_txid(), reason)],
                        reason: "a transaction was rejected".to_owned(),
                        accepted,
                    });
                }
            }
        }
        Ok(AcceptedPackage::default())
    }
    /// Replies for `GET /bitcoin/info`.
    async fn info(&self) -> Result<NodeInfo, SourceError>;
    /// Fee rates, with an estimate for each of these numbers of blocks.
    async fn fee_rates(&self, targets: &[u16]) -> Result<FeeRates, SourceError>;
    /// Reply of `getblock HASH 1`.
    async fn block_info(&self, hash: BlockHash) -> Result<serde_json::Value, SourceError>;
    /// Median time of the block and the 10 before it (BIP113), in Unix seconds; also of a block that is pruned.
    async fn median_time(&self, hash: BlockHash) -> Result<u64, SourceError> {
        median_time_in(&self.block_info(hash).await?)
    }
    /// The header of a block (`getblockheader HASH false`); also of one that is pruned.
    async fn header(&self, hash: BlockHash) -> Result<Header, SourceError> {
        Ok(self.block(hash).await?.block.header)
    }
    /// The headers of the best chain from this height, at most `count`; fewer at its tip.
    async fn headers(&self, start: u32, count: u32) -> Result<Vec<Header>, SourceError> {
        let mut headers = Vec::new();
        for height in start..start.saturating_add(count) {
            let Some(hash) = self.hash_at(height).await? else { break };
            headers.push(self.header(hash).await?);
        }
        Ok(headers)
    }
    /// A transaction of this block or, without one, of the mempool (`getrawtransaction`). A node with `txindex` also
    /// finds confirmed ones without their block. `None` if it is not there.
    async fn transaction(&self, txid: Txid, block: Option<BlockHash>) -> Result<Option<Transaction>, SourceError> {
        let Some(hash) = block else {
            let found = self.transactions(&[txid], Vec::new()).await?;
            return Ok(found.into_iter().next().map(|found| found.tx));
        };
        let txs = self.block(hash).await?.block.txdata;
        Ok(txs.into_iter().find(|tx| tx.compute_txid() == txid))
    }
    /// A new stream of signals, or `None` for a source that must be polled. Ends when the receiver is dropped. The
    /// queue is bounded; when it is full, signals are dropped and one `Lost` follows.
    fn signals(&self) -> Option<Signals>;
    /// State of the connection that carries the signals; `None` for a source without one.
    fn signalling(&self) -> Option<Signalling> {
        None
    }
    /// Whether it is known that every change of the mempool and of the chain is signalled; otherwise they are polled in
    /// addition.
    fn signals_all(&self) -> bool {
        true
    }
    /// How changes reach the relay; `None` until the first attempt to receive signals has ended.
    fn event_source(&self) -> Option<EventSource> {
        Some(EventSource::Embedded)
    }
}
