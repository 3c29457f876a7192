//! `GET /bitcoin/info` and `GET /bitcoin/blocks/{hash}`: replies of the node, in the shape of the API reference.

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
    /// Fields of `getblockchaininfo`.
    pub blockchain_info: BlockchainInfo,
    /// Fields of `getnetworkinfo`.
    pub network_info: NetworkInfo,
    /// Fields of `getmempoolinfo`.
    pub mempool_info: MempoolInfo,
    /// Unix seconds.
    pub timestamp: u64,
}

/// Fields of `getblockchaininfo`.
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
    /// Estimated progress of verification, 0 to 1.
    pub verificationprogress: f64,
    /// Whether the node is in initial block download.
    pub initialblockdownload: bool,
    /// Size of blocks and undo data on disk, in bytes.
    pub size_on_disk: u64,
    /// Whether the node prunes old blocks.
    pub pruned: bool,
}

/// Fields of `getnetworkinfo`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct NetworkInfo {
    /// Number of peers.
    pub connections: u64,
    /// Number of inbound peers.
    #[serde(default)]
    #[schema(required)]
    pub connections_in: Option<u64>,
    /// Number of outbound peers.
    #[serde(default)]
    #[schema(required)]
    pub connections_out: Option<u64>,
    /// Whether P2P networking is enabled.
    pub networkactive: bool,
    /// State of each network.
    pub networks: Vec<Network>,
}

/// One network of `getnetworkinfo`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Network {
    /// `ipv4`, `ipv6`, `onion`, `i2p`, `cjdns`.
    pub name: String,
    /// Whether `-onlynet` excludes the network.
    pub limited: bool,
    /// Whether the network is reachable.
    pub reachable: bool,
    /// Proxy, `HOST:PORT`; empty without one.
    pub proxy: String,
}

/// Fields of `getmempoolinfo`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct MempoolInfo {
    /// Number of transactions.
    pub size: u64,
    /// Sum of the virtual sizes of the transactions, in bytes.
    pub bytes: u64,
    /// Memory usage in bytes.
    pub usage: u64,
    /// Maximum of `usage`, in bytes.
    pub maxmempool: u64,
    /// Minimum fee rate for acceptance, in BTC per 1,000 virtual bytes.
    pub mempoolminfee: f64,
}

/// `GET /bitcoin/first-block`: where a scan for payments since a time begins.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "height": 823760, "hash": "0000000000000000000240b8a5f3c4d1e2b3a495867708192a3b4c5d6e7f8091", "since": 1704067200,
    "timestamp": 1706745600
})))]
pub struct FirstBlock {
    /// Height of the first block to scan.
    pub height: u32,
    /// Its hash.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub hash: String,
    /// The requested time, in Unix seconds.
    pub since: u64,
    /// Unix seconds.
    pub timestamp: u64,
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
    /// Time in the header, in Unix seconds.
    pub time: u64,
    /// Median time of the last 11 blocks, in Unix seconds.
    pub mediantime: u64,
    /// Nonce.
    pub nonce: u64,
    /// Target in compact form, in hex.
    pub bits: String,
    /// Difficulty.
    pub difficulty: f64,
    /// Size in bytes.
    pub size: u64,
    /// Size without witnesses, in bytes.
    pub strippedsize: u64,
    /// Weight (BIP141).
    pub weight: u64,
    /// Txids in block order.
    pub tx: Vec<String>,
    /// Number of confirmations: 1 at the tip, -1 outside the best chain.
    pub confirmations: i64,
    /// Hash of the previous block; `null` for the genesis block.
    #[serde(default)]
    #[schema(pattern = "^[0-9a-f]{64}$", required)]
    pub previousblockhash: Option<String>,
    /// Hash of the next block; `null` at the tip.
    #[serde(default)]
    #[schema(pattern = "^[0-9a-f]{64}$", required)]
    pub nextblockhash: Option<String>,
    /// When this response was made, in Unix seconds.
    #[serde(default)]
    #[schema(required)]
    pub timestamp: u64,
}
