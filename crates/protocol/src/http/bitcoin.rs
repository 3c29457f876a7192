//! `GET /bitcoin/info` and `GET /bitcoin/blocks/{hash}`: the node's own words, in the reference's shape.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /bitcoin/info`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "blockchain_info": {
        "chain": "main", "blocks": 822000, "headers": 822000,
        "bestblockhash": "0000000000000000000240b8a5f3c4d1e2b3a495867708192a3b4c5d6e7f8091",
        "difficulty": 67957790298897.88, "verificationprogress": 0.9999, "initialblockdownload": false,
        "size_on_disk": 605000000000u64, "pruned": false
    },
    "network_info": {
        "connections": 8, "connections_in": 4, "connections_out": 4, "networkactive": true,
        "networks": [{"name": "ipv4", "limited": false, "reachable": true, "proxy": "127.0.0.1:9050"}]
    },
    "mempool_info": {"size": 150, "bytes": 1024000, "usage": 2048000, "maxmempool": 300000000, "mempoolminfee": 0.00001},
    "timestamp": 1703001600
})))]
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
#[schema(examples(json!({
    "hash": "0000000000000000000240b8a5f3c4d1e2b3a495867708192a3b4c5d6e7f8091", "height": 822000, "version": 536870912,
    "merkleroot": "3b1f7a90c2d84e55a6f7e8d9c0b1a29384756617283940515263748596a7b8c9",
    "time": 1703001600, "mediantime": 1703001500, "nonce": 123456, "bits": "170426f5", "difficulty": 67957790298897.88,
    "size": 1024, "strippedsize": 512, "weight": 2560,
    "tx": ["e36bb5f1a4e1c2bd2d7f4be23bd1a5b9d3a0d6a7f9c0e1b2c3d4e5f60718293a"],
    "confirmations": 2,
    "previousblockhash": "00000000000000000001c7a1d5e2f3b4a5968778695a4b3c2d1e0f1021324354",
    "nextblockhash": "000000000000000000017f6e5d4c3b2a1908f7e6d5c4b3a29180706f5e4d3c2b",
    "timestamp": 1703002600
})))]
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
