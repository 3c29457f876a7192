//! Version 1. `tweaks/H` and `tweak-index/H` return an array of strings, 33 bytes in hex each.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET block-height`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({"block_height": 834761})))]
pub struct BlindbitBlockHeight {
    /// Height of the newest block in the index.
    pub block_height: u32,
}

/// `GET block-hash/H`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({"block_hash": "00000120c9a85327d21a09e9a232eb1783f6de3e32cfeba02d2200e80cc017d4"})))]
pub struct BlindbitBlockHash {
    /// Hash of the block at this height.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub block_hash: String,
}

/// Element of the array that `GET utxos/H` returns: a taproot output of an eligible transaction.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "txid": "355cce4314a2238f45801c81c15098f83668284156e80998ab38ce87ef7524cc", "vout": 1, "value": 1000000,
    "scriptpubkey": "51204128643f9891f245d0184043c19bfccdd38aa3c6e0c6b43444b676e148383c76", "block_height": 194686,
    "block_hash": "00000120c9a85327d21a09e9a232eb1783f6de3e32cfeba02d2200e80cc017d4", "timestamp": 1715205985, "spent": false
})))]
pub struct BlindbitUtxo {
    /// Transaction of the output.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// Index of the output in its transaction.
    pub vout: u32,
    /// Satoshis.
    pub value: u64,
    /// Output script, 34 bytes: `5120` and the x-only key.
    #[schema(pattern = "^5120[0-9a-f]{64}$")]
    pub scriptpubkey: String,
    /// Height of its block. An Oracle returns 0.
    pub block_height: u32,
    /// Hash of its block.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub block_hash: String,
    /// Time of the block, in Unix seconds.
    pub timestamp: u64,
    /// Whether a block has spent the output.
    pub spent: bool,
}

/// `GET spent-index/H`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "block_hash": "00000120c9a85327d21a09e9a232eb1783f6de3e32cfeba02d2200e80cc017d4",
    "data": ["cc12527ee956138b", "2bf50db605a3ea0c"]
})))]
pub struct BlindbitSpentIndex {
    /// Hash of the block at this height.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub block_hash: String,
    /// For each taproot output that the block spends: the first 8 bytes of SHA256(outpoint ‖ block hash), both as
    /// serialised.
    pub data: Vec<String>,
}

/// `GET filter/new-utxos/H` and `GET filter/spent/H`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "block_hash": "0000011c426633eb092a3c9c3b6d7c6857ee8ce116eed84b825ab175e8f1e946", "block_height": 194686,
    "data": "0110494a00", "filter_type": 4
})))]
pub struct BlindbitFilter {
    /// Hash of the block at this height. Its first 16 bytes, as serialised, are the key of the filter.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub block_hash: String,
    /// Height of the block.
    pub block_height: u32,
    /// Golomb-coded set as in BIP158 (P = 19, M = 784931), preceded by the number of its elements.
    #[schema(pattern = "^([0-9a-f]{2})+$")]
    pub data: String,
    /// Always 4.
    pub filter_type: u8,
}

/// `POST forward-tx`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({"data": "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"})))]
pub struct ForwardTx {
    /// The signed transaction in hex.
    pub data: String,
}
