//! Version 2: every answer about a block says which block it is about.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which block an answer is about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct BlockIdentifier {
    /// Its hash.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub block_hash: String,
    /// Its height.
    pub block_height: u32,
}

/// `GET tweaks/H`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "block_identifier": {"block_hash": "00000120c9a85327d21a09e9a232eb1783f6de3e32cfeba02d2200e80cc017d4", "block_height": 194686},
    "index": ["031799df7770cfdabe460e47f4571fe4ded7d7a7922afa0f5ad91753473269cdbb"]
})))]
pub struct BlindbitTweaks {
    /// Which block.
    pub block_identifier: BlockIdentifier,
    /// The tweak of each eligible transaction, 33 bytes in hex each.
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
    /// Which block.
    pub block_identifier: BlockIdentifier,
    /// The taproot outputs of the eligible transactions, spent ones too.
    #[serde(deserialize_with = "or_nothing")]
    pub index: Vec<Output>,
}

/// A taproot output.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Output {
    /// Its transaction.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// Its place there.
    pub vout: u32,
    /// Satoshis.
    pub amount: u64,
    /// Its x-only key.
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
    /// Which block.
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
    /// Which block.
    pub block_identifier: BlockIdentifier,
    /// The eligible transactions.
    #[serde(deserialize_with = "or_nothing")]
    pub index: Vec<ComputeItem>,
}

/// An eligible transaction, in short.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct ComputeItem {
    /// Which transaction.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// 33 bytes in hex.
    #[schema(pattern = "^0[23][0-9a-f]{64}$")]
    pub tweak: String,
    /// First 8 bytes of the x-only key of each of its taproot outputs.
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
    /// Which block.
    pub block_identifier: BlockIdentifier,
    /// The eligible transactions.
    #[serde(deserialize_with = "or_nothing")]
    pub index: Vec<FullTx>,
}

/// An eligible transaction.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct FullTx {
    /// Which transaction.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// 33 bytes in hex.
    #[schema(pattern = "^0[23][0-9a-f]{64}$")]
    pub tweak: String,
    /// The taproot outputs that it spends, 36 bytes each: the txid as it is shown, and the vout, big-endian.
    #[serde(deserialize_with = "or_nothing")]
    pub inputs: Vec<String>,
    /// Its taproot outputs.
    #[serde(deserialize_with = "or_nothing")]
    pub utxos: Vec<LightOutput>,
}

/// A taproot output of a transaction that is named beside it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct LightOutput {
    /// Its place in the transaction.
    pub vout: u32,
    /// Satoshis.
    pub amount: u64,
    /// Its x-only key.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub pubkey: String,
}

/// An Oracle writes `null` for a list without entries.
fn or_nothing<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
