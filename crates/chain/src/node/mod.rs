//! A Bitcoin node as the source of blocks and transactions: RPC for requests, REST for blocks, ZMQ for signals.

mod amount;
mod block;
mod confirmed;
mod fees;
mod headers;
mod mempool;
mod package;
mod spent;
pub mod wallet;
mod zmq;
mod zmq_address;

use async_trait::async_trait;
use bitcoin::block::Header;
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::{BlockHash, OutPoint, Transaction, Txid};
use sdk_relay_platform::net::Proxy;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::signals::Signals;
use crate::{
    event::{BlockRef, BlockWithPrevouts, MempoolTx},
    rpc::{Auth, RpcClient, RpcError, code},
    source::{
        AcceptedPackage, BroadcastError, ChainSource, ConfirmedTx, EventSource, FeeRates, MempoolSnapshot, NodeInfo,
        PackageError, Signalling, SourceError, SourceStatus, median_time_in,
    },
};
use block::BlockFetcher;

pub use wallet::{NodeWallet, WalletError};
pub use zmq::report::{ZmqReport, zmq_report};
pub use zmq_address::ZmqAddress;

/// The RPC methods that the relay calls to follow a node: what its `rpcwhitelist` must allow.
pub const METHODS: [&str; 14] = [
    "getblockchaininfo",
    "getnetworkinfo",
    "getmempoolinfo",
    "getrawmempool",
    "getblockhash",
    "getblockheader",
    "getblock",
    "getrawtransaction",
    "gettxout",
    "gettxspendingprevout",
    "getzmqnotifications",
    "estimatesmartfee",
    "sendrawtransaction",
    "submitpackage",
];

/// Addresses and credentials of a node.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// `http://HOST:PORT` of its RPC interface, which serves its REST interface as well.
    pub rpc_url: String,
    /// Credentials.
    pub auth: Auth,
    /// Where it publishes `sequence`, `rawtx` and `hashblock`.
    pub zmq: ZmqAddress,
    /// The SOCKS proxy on the way to it: of requests and of signals.
    pub proxy: Option<Proxy>,
}

/// A Bitcoin node.
pub struct NodeSource {
    rpc: RpcClient,
    blocks: BlockFetcher,
    zmq: Option<zmq::Publisher>,
    /// The chain that the node must follow; `None`: any.
    chain: Option<&'static str>,
}

impl NodeSource {
    /// Does no I/O: a node that is down fails the first request.
    ///
    /// # Errors
    /// [`RpcError::Address`] if `rpc_url` is not `http://HOST:PORT`.
    pub fn new(config: NodeConfig) -> Result<Self, RpcError> {
        let rpc = RpcClient::with_proxy(&config.rpc_url, config.auth, config.proxy.clone())?;
        Ok(Self {
            blocks: BlockFetcher::new(rpc.clone()),
            rpc,
            zmq: zmq::Publisher::new(config.zmq, config.proxy),
            chain: None,
        })
    }

    /// Requires the node to follow this chain (`main`, `test`, `testnet4`, `signet`, `regtest`); otherwise status and
    /// tip fail with [`SourceError::WrongChain`], and the follower emits nothing of the other chain.
    #[must_use]
    pub fn of_chain(self, chain: &'static str) -> Self {
        Self {
            chain: Some(chain),
            ..self
        }
    }

    /// The RPC client of this source.
    pub fn rpc(&self) -> &RpcClient {
        &self.rpc
    }

    async fn blockchain_info(&self) -> Result<BlockchainInfo, SourceError> {
        let info: BlockchainInfo = self.rpc.call("getblockchaininfo", json!([])).await?;
        match self.chain {
            Some(expected) if info.chain != expected => Err(SourceError::WrongChain {
                at: self.rpc.at().to_owned(),
                found: info.chain,
                expected: expected.to_owned(),
            }),
            _ => Ok(info),
        }
    }
}

/// The fields of `getblockchaininfo` that are used.
#[derive(Deserialize)]
struct BlockchainInfo {
    chain: String,
    blocks: u32,
    headers: u32,
    bestblockhash: BlockHash,
    initialblockdownload: bool,
    #[serde(default)]
    pruneheight: Option<u32>,
}

impl BlockchainInfo {
    fn tip(&self) -> BlockRef {
        BlockRef {
            height: self.blocks,
            hash: self.bestblockhash,
        }
    }
}

/// Reply of `getrawmempool false true`.
#[derive(Deserialize)]
struct RawMempool {
    txids: Vec<Txid>,
    mempool_sequence: u64,
}

/// One entry of the reply of `gettxspendingprevout`.
#[derive(Deserialize)]
struct Spender {
    #[serde(default)]
    spendingtxid: Option<Txid>,
}

#[async_trait]
impl ChainSource for NodeSource {
    async fn status(&self) -> Result<SourceStatus, SourceError> {
        let info = self.blockchain_info().await?;
        Ok(SourceStatus {
            tip: info.tip(),
            chain: info.chain,
            headers: info.headers,
            initial_block_download: info.initialblockdownload,
            prune_height: info.pruneheight,
        })
    }

    /// `getblockchaininfo`: the only call that returns hash and height of the tip atomically.
    async fn tip(&self) -> Result<BlockRef, SourceError> {
        Ok(self.blockchain_info().await?.tip())
    }

    async fn hash_at(&self, height: u32) -> Result<Option<BlockHash>, SourceError> {
        match self.rpc.call("getblockhash", json!([height])).await {
            Ok(hash) => Ok(Some(hash)),
            Err(error) if error.server().is_some_and(|e| e.code == code::INVALID_PARAMETER) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn block(&self, hash: BlockHash) -> Result<BlockWithPrevouts, SourceError> {
        self.blocks.block(hash).await
    }

    /// A starting node answers before it has loaded its saved mempool. Until then the mempool is incomplete, and the
    /// result is [`SourceError::Warming`].
    async fn mempool(&self) -> Result<MempoolSnapshot, SourceError> {
        // In this order: a loaded mempool stays loaded.
        let calls = [("getmempoolinfo", json!([])), ("getrawmempool", json!([false, true]))];
        let mut outcomes = self.rpc.batch(calls.to_vec()).await?.into_iter();
        let mut next = |method| match outcomes.next() {
            Some(Ok(reply)) => Ok(reply),
            Some(Err(error)) => Err(RpcError::from_server(self.rpc.at(), method, error)),
            None => Err(RpcError::malformed(method, "missing in the reply")),
        };
        if next("getmempoolinfo")?["loaded"] == Value::Bool(false) {
            return Err(SourceError::Warming {
                at: self.rpc.at().to_owned(),
                reason: "the node is still loading its mempool".to_owned(),
            });
        }
        let RawMempool {
            txids,
            mempool_sequence,
        } = serde_json::from_value(next("getrawmempool")?).map_err(|e| RpcError::malformed("getrawmempool", e))?;
        Ok(MempoolSnapshot {
            txids,
            sequence: mempool_sequence,
        })
    }

    async fn transactions(&self, wanted: &[Txid], known: Vec<Transaction>) -> Result<Vec<MempoolTx>, SourceError> {
        mempool::transactions(&self.rpc, wanted, known).await
    }

    async fn spenders(&self, outpoints: &[OutPoint]) -> Result<Vec<Option<Txid>>, SourceError> {
        /// Largest number of outpoints in one call; bounds the size of request and reply.
        const MAX_OUTPOINTS: usize = 5_000;
        let mut spenders = Vec::with_capacity(outpoints.len());
        for part in outpoints.chunks(MAX_OUTPOINTS) {
            let outpoints: Vec<Value> = part.iter().map(|o| json!({"txid": o.txid, "vout": o.vout})).collect();
            let found: Vec<Spender> = self.rpc.call("gettxspendingprevout", json!([outpoints])).await?;
            if found.len() != part.len() {
                let reason = format!("{} entries for {} outpoints", found.len(), part.len());
                return Err(RpcError::malformed("gettxspendingprevout", reason).into());
            }
            spenders.extend(found.into_iter().map(|spender| spender.spendingtxid));
        }
        Ok(spenders)
    }

    async fn confirmed(&self, txid: Txid, block: Option<BlockHash>) -> Result<Option<ConfirmedTx>, SourceError> {
        match block {
            Some(block) => confirmed::in_block(&self.rpc, txid, block).await,
            None => confirmed::anywhere(&self.rpc, txid).await,
        }
    }

    async fn broadcast(&self, tx: &Transaction) -> Result<Txid, BroadcastError> {
        match self.rpc.call("sendrawtransaction", json!([serialize_hex(tx)])).await {
            Ok(txid) => Ok(txid),
            Err(error) => Err(match error.server() {
                Some(server) if server.refuses_transaction() => BroadcastError::Rejected(server.message.clone()),
                _ => BroadcastError::Source(error.into()),
            }),
        }
    }

    async fn broadcast_package(&self, package: &[Transaction]) -> Result<AcceptedPackage, PackageError> {
        package::submit(&self.rpc, package).await
    }

    async fn info(&self) -> Result<NodeInfo, SourceError> {
        let methods = ["getblockchaininfo", "getnetworkinfo", "getmempoolinfo"];
        let outcomes = self
            .rpc
            .batch(methods.map(|method| (method, json!([]))).to_vec())
            .await?;
        let mut replies = methods.into_iter().zip(outcomes).map(|(method, outcome)| {
            outcome.map_err(|error| SourceError::from(RpcError::from_server(self.rpc.at(), method, error)))
        });
        let mut next = || replies.next().unwrap_or(Ok(Value::Null));
        Ok(NodeInfo {
            blockchain: next()?,
            network: next()?,
            mempool: next()?,
        })
    }

    async fn fee_rates(&self, targets: &[u16]) -> Result<FeeRates, SourceError> {
        Ok(fees::rates(&self.rpc, targets).await?)
    }

    async fn block_info(&self, hash: BlockHash) -> Result<Value, SourceError> {
        self.rpc
            .call("getblock", json!([hash, 1]))
            .await
            .map_err(|e| block::block_error(hash, e))
    }

    async fn median_time(&self, hash: BlockHash) -> Result<u64, SourceError> {
        let header = self.rpc.call("getblockheader", json!([hash])).await;
        median_time_in(&header.map_err(|e| block::block_error(hash, e))?)
    }

    async fn header(&self, hash: BlockHash) -> Result<Header, SourceError> {
        headers::header(&self.rpc, hash).await
    }

    async fn headers(&self, start: u32, count: u32) -> Result<Vec<Header>, SourceError> {
        headers::headers(&self.rpc, start, count).await
    }

    async fn transaction(&self, txid: Txid, block: Option<BlockHash>) -> Result<Option<Transaction>, SourceError> {
        let params = match block {
            Some(hash) => json!([txid, false, hash]),
            None => json!([txid, false]),
        };
        match self.rpc.call::<String>("getrawtransaction", params).await {
            Ok(hex) => deserialize_hex(&hex)
                .map(Some)
                .map_err(|e| RpcError::malformed("getrawtransaction", e).into()),
            Err(error) if error.server().is_some_and(|e| e.code == code::NOT_FOUND) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn signals(&self) -> Option<Signals> {
        Some(self.zmq.as_ref()?.signals(self.rpc.clone()))
    }

    fn signalling(&self) -> Option<Signalling> {
        self.zmq.as_ref()?.signalling()
    }

    fn signals_all(&self) -> bool {
        self.zmq.as_ref().is_some_and(zmq::Publisher::signals_all)
    }

    fn event_source(&self) -> Option<EventSource> {
        let polling = Some(EventSource::Polling);
        self.zmq.as_ref().map_or(polling, zmq::Publisher::event_source)
    }
}
