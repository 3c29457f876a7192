//! `GET /bitcoin/info` and `GET /bitcoin/blocks/{hash}`: the node's own words, in the reference's shape.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /bitcoin/info`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct BitcoinInfo {
    /// Of `getblockchaininfo`.
    pub blockchain_info: BlockchainInfo,
    /// Of `getnetworkinfo`.
    pub network_info: NetworkInfo,
    /// Of `getmempoolinfo`.
    pub mempool_info: MempoolInfo,
    /// Unix seconds.
    pub timestamp: u64,
}

/// Of `getblockchaininfo`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct BlockchainInfo {
    /// `main`, `test`, `testnet4`, `signet`, `regtest`.
    pub chain: String,
    /// Height of the best block.
    pub blocks: u64,
    /// Height of the best header.
    pub headers: u64,
    /// Hash of the best block.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub bestblockhash: String,
    /// Difficulty.
    pub difficulty: f64,
    /// 0 to 1.
    pub verificationprogress: f64,
    /// Whether the node still fetches the chain.
    pub initialblockdownload: bool,
    /// Bytes.
    pub size_on_disk: u64,
    /// Whether old blocks are deleted.
    pub pruned: bool,
}

/// Of `getnetworkinfo`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct NetworkInfo {
    /// Peers.
    pub connections: u64,
    /// Peers that came to the node.
    #[serde(default)]
    #[schema(required)]
    pub connections_in: Option<u64>,
    /// Peers that the node went to.
    #[serde(default)]
    #[schema(required)]
    pub connections_out: Option<u64>,
    /// Whether the network is on.
    pub networkactive: bool,
    /// Each network.
    pub networks: Vec<Network>,
}

/// One network of `getnetworkinfo`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Network {
    /// `ipv4`, `ipv6`, `onion`, `i2p`, `cjdns`.
    pub name: String,
    /// Limited by `-onlynet`.
    pub limited: bool,
    /// Can be reached.
    pub reachable: bool,
    /// `HOST:PORT`, or empty.
    pub proxy: String,
}

/// Of `getmempoolinfo`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct MempoolInfo {
    /// Transactions.
    pub size: u64,
    /// Virtual bytes.
    pub bytes: u64,
    /// Memory in bytes.
    pub usage: u64,
    /// Bound of `usage`.
    pub maxmempool: u64,
    /// BTC per 1,000 virtual bytes.
    pub mempoolminfee: f64,
}

/// `GET /bitcoin/blocks/{hash}`: `getblock HASH 1`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct BlockDetails {
    /// Hash.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub hash: String,
    /// Height.
    pub height: u64,
    /// Version.
    pub version: i64,
    /// Merkle root.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub merkleroot: String,
    /// The header's time, Unix seconds.
    pub time: u64,
    /// Median of the last 11 blocks' times.
    pub mediantime: u64,
    /// Nonce.
    pub nonce: u64,
    /// Target, compact form in hex.
    pub bits: String,
    /// Difficulty.
    pub difficulty: f64,
    /// Bytes.
    pub size: u64,
    /// Bytes without witnesses.
    pub strippedsize: u64,
    /// BIP141 weight.
    pub weight: u64,
    /// Txids in block order.
    pub tx: Vec<String>,
    /// 1 at the tip; -1 outside the best chain.
    pub confirmations: i64,
    /// `null` for the genesis block.
    #[serde(default)]
    #[schema(pattern = "^[0-9a-f]{64}$", required)]
    pub previousblockhash: Option<String>,
    /// `null` at the tip.
    #[serde(default)]
    #[schema(pattern = "^[0-9a-f]{64}$", required)]
    pub nextblockhash: Option<String>,
    /// When this answer was made, Unix seconds.
    #[serde(default)]
    #[schema(required)]
    pub timestamp: u64,
}
