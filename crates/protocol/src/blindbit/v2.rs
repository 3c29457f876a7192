//! Version 2: each response about a block identifies the block.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Block that a response is about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct BlockIdentifier {
    /// Hash of the block.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub block_hash: String,
    /// Height of the block.
    pub block_height: u32,
}

/// `GET tweaks/H`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "block_identifier": {"block_hash": "00000120c9a85327d21a09e9a232eb1783f6de3e32cfeba02d2200e80cc017d4", "block_height": 194686},
    "index": ["031799df7770cfdabe460e47f4571fe4ded7d7a7922afa0f5ad91753473269cdbb"]
})))]
pub struct BlindbitTweaks {
    /// Block that this is about.
    pub block_identifier: BlockIdentifier,
    /// Tweak of each eligible transaction, 33 bytes in hex.
    #[serde(deserialize_with = "or_nothing")]
    pub index: Vec<String>,
}

/// `GET utxos/H`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "block_identifier": {"block_hash": "00000120c9a85327d21a09e9a232eb1783f6de3e32cfeba02d2200e80cc017d4", "block_height": 194686},
    "index": [{
        "txid": "355cce4314a2238f45801c81c15098f83668284156e80998ab38ce87ef7524cc", "vout": 1, "amount": 1000000,
        "pubkey": "4128643f9891f245d0184043c19bfccdd38aa3c6e0c6b43444b676e148383c76"
    }]
})))]
pub struct BlindbitOutputs {
    /// Block that this is about.
    pub block_identifier: BlockIdentifier,
    /// Taproot outputs of the eligible transactions, including spent ones.
    #[serde(deserialize_with = "or_nothing")]
    pub index: Vec<Output>,
}

/// A taproot output.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Output {
    /// Transaction of the output.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// Index of the output in its transaction.
    pub vout: u32,
    /// Satoshis.
    pub amount: u64,
    /// X-only public key, 32 bytes in hex.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub pubkey: String,
}

/// `GET spent-outputs/H`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "block_identifier": {"block_hash": "00000120c9a85327d21a09e9a232eb1783f6de3e32cfeba02d2200e80cc017d4", "block_height": 194686},
    "index": ["12345acbdef12345", "67890fedcba98765"]
})))]
pub struct BlindbitSpentOutputs {
    /// Block that this is about.
    pub block_identifier: BlockIdentifier,
    /// First 8 bytes of the x-only key of each taproot output that the block spends.
    #[serde(deserialize_with = "or_nothing")]
    pub index: Vec<String>,
}

/// `GET compute-index/H`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "block_identifier": {"block_hash": "00000120c9a85327d21a09e9a232eb1783f6de3e32cfeba02d2200e80cc017d4", "block_height": 194686},
    "index": [{
        "txid": "355cce4314a2238f45801c81c15098f83668284156e80998ab38ce87ef7524cc",
        "tweak": "031799df7770cfdabe460e47f4571fe4ded7d7a7922afa0f5ad91753473269cdbb",
        "outputs": ["4128643f9891f245", "6a47348664f25168"]
    }]
})))]
pub struct BlindbitComputeIndex {
    /// Block that this is about.
    pub block_identifier: BlockIdentifier,
    /// Eligible transactions, in block order.
    #[serde(deserialize_with = "or_nothing")]
    pub index: Vec<ComputeItem>,
}

/// Eligible transaction, with shortened outputs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct ComputeItem {
    /// Transaction id.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// Tweak, 33 bytes in hex.
    #[schema(pattern = "^0[23][0-9a-f]{64}$")]
    pub tweak: String,
    /// First 8 bytes of the x-only key of each taproot output of the transaction.
    #[serde(deserialize_with = "or_nothing")]
    pub outputs: Vec<String>,
}

/// `GET full-block/H`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "block_identifier": {"block_hash": "00000120c9a85327d21a09e9a232eb1783f6de3e32cfeba02d2200e80cc017d4", "block_height": 194686},
    "index": [{
        "txid": "355cce4314a2238f45801c81c15098f83668284156e80998ab38ce87ef7524cc",
        "tweak": "031799df7770cfdabe460e47f4571fe4ded7d7a7922afa0f5ad91753473269cdbb",
        "inputs": ["66cf6460207e957ff77b1cad191050a8623d36671e94a46813b4bc10e6b35b6c00000001"],
        "utxos": [{"vout": 1, "amount": 1000000, "pubkey": "4128643f9891f245d0184043c19bfccdd38aa3c6e0c6b43444b676e148383c76"}]
    }]
})))]
pub struct BlindbitFullBlock {
    /// Block that this is about.
    pub block_identifier: BlockIdentifier,
    /// Eligible transactions, in block order.
    #[serde(deserialize_with = "or_nothing")]
    pub index: Vec<FullTx>,
}

/// Eligible transaction, with its taproot inputs and outputs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct FullTx {
    /// Transaction id.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// Tweak, 33 bytes in hex.
    #[schema(pattern = "^0[23][0-9a-f]{64}$")]
    pub tweak: String,
    /// Taproot outputs that the transaction spends, 36 bytes each: the txid in display order, then the vout,
    /// big-endian.
    #[serde(deserialize_with = "or_nothing")]
    pub inputs: Vec<String>,
    /// Taproot outputs of the transaction.
    #[serde(deserialize_with = "or_nothing")]
    pub utxos: Vec<LightOutput>,
}

/// Taproot output of the transaction that contains this list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct LightOutput {
    /// Index of the output in its transaction.
    pub vout: u32,
    /// Satoshis.
    pub amount: u64,
    /// X-only public key, 32 bytes in hex.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub pubkey: String,
}

/// An Oracle sends `null` for an empty list.
fn or_nothing<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
