//! Notifications: what happened.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::SecretHex;

/// `notification`: an event, when the message was made, and its place in the log.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Notification {
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// Unix second at which the message was made.
    pub timestamp: u64,
    /// Grows with every event of the log, across restarts; `null` for a watch's own.
    #[serde(default)]
    #[schema(required)]
    pub event_id: Option<u64>,
}

/// What can happen: `notification_type`, and its `data`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(tag = "notification_type", content = "data", rename_all = "snake_case")]
pub enum Event {
    /// An output pays the relay's wallet or a watch: seen in the mempool, or confirmed.
    PaymentDetected(Box<Payment>),
    /// A reorganisation, a replacement or an eviction undid what was told last of this output.
    PaymentReverted(Box<Payment>),
    /// A block extends the best chain.
    BlockMined(BlockMined),
    /// A block left the best chain.
    BlockDisconnected(BlockDisconnected),
    /// A relay connected.
    RelayConnected(RelayConnected),
    /// A relay went away.
    RelayDisconnected(RelayDisconnected),
    /// A block's tweaks (topic `tweaks`).
    Tweaks(Tweaks),
}

/// An output that pays somebody.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Payment {
    /// Transaction.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// Height of its block, `null` in the mempool.
    #[schema(required)]
    pub block_height: Option<u32>,
    /// Hash of its block, `null` in the mempool.
    #[schema(pattern = "^[0-9a-f]{64}$", required)]
    pub block_hash: Option<String>,
    /// BTC.
    #[schema(pattern = r"^[0-9]+(\.[0-9]{1,8})?$")]
    pub amount: String,
    /// The address that was paid: the silent-payment address (labelled, where a label was used), or the node wallet's.
    pub address: String,
    /// 0 in the mempool, 1 when it has just confirmed.
    pub confirmations: u32,
    /// The block's time when confirmed, else when the relay saw it. Unix seconds.
    pub timestamp: u64,
    /// BTC.
    #[schema(pattern = r"^[0-9]+(\.[0-9]{1,8})?$", required)]
    pub fee: Option<String>,
    /// Serialised size of the transaction in bytes, witness included.
    pub size: u64,
    /// Index of the output.
    pub vout: u32,
    /// What to add to the spend key to spend the output (BIP352 `t_k`, label included); 32 bytes in hex; only to the watch's owner.
    #[schema(required)]
    pub tweak: Option<SecretHex>,
    /// The label that was paid.
    #[schema(required)]
    pub label: Option<u32>,
    /// The watch that found it; `null` for the relay's own wallet.
    #[schema(required)]
    pub watch_id: Option<String>,
    /// Satoshis.
    pub amount_sats: u64,
    /// Satoshis.
    #[schema(required)]
    pub fee_sats: Option<u64>,
    /// In `payment_reverted`: the transaction that took its place, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{64}$", nullable = false)]
    pub replaced_by: Option<String>,
    /// Present and true where a watch's scan of the history found it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub historical: bool,
}

/// Data of `block_mined`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct BlockMined {
    /// Height.
    pub block_height: u32,
    /// Hash.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub block_hash: String,
    /// Number of transactions, the coinbase included.
    pub transactions: u64,
    /// Serialised size in bytes.
    pub size: u64,
    /// The header's time, Unix seconds.
    pub timestamp: u64,
    /// Difficulty, 1 at the easiest target of the main network.
    pub difficulty: f64,
    /// Merkle root.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub merkle_root: String,
}

/// Data of `block_disconnected`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct BlockDisconnected {
    /// Height of the block that left.
    pub block_height: u32,
    /// Its hash.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub block_hash: String,
    /// The tip that holds again.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub previous_block_hash: String,
    /// When the relay heard of it, Unix seconds.
    pub timestamp: u64,
}

/// Data of `relay_connected`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct RelayConnected {
    /// Its name.
    pub relay_id: String,
    /// Where it says it can be reached, without a proof else where it connected from; `null` where this relay would not dial that.
    #[schema(required)]
    pub address: Option<String>,
    /// Its API version.
    pub version: String,
    /// What it offers.
    pub capabilities: Vec<String>,
    /// When, Unix seconds.
    pub timestamp: u64,
    /// Name of its connection.
    pub connection_id: String,
}

/// Data of `relay_disconnected`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct RelayDisconnected {
    /// Its name.
    pub relay_id: String,
    /// As in its `relay_connected`.
    #[schema(required)]
    pub address: Option<String>,
    /// When, Unix seconds.
    pub timestamp: u64,
    /// Name of its connection.
    pub connection_id: String,
}

/// Data of `tweaks`: the eligible transactions of a block, or a part of them where the block is large.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Tweaks {
    /// Height.
    pub block_height: u32,
    /// Hash.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub block_hash: String,
    /// In block order.
    pub transactions: Vec<TweakTx>,
    /// Which part of the block this is, from 1. A block is complete with its last part.
    #[serde(default = "one")]
    #[schema(minimum = 1)]
    pub part: u32,
    /// Parts of the block. Both numbers are missing, and stand for 1, in events that a relay logged before it knew parts.
    #[serde(default = "one")]
    #[schema(minimum = 1)]
    pub parts: u32,
    /// Present and true where it is history that a `from_height` asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub historical: bool,
}

/// An eligible transaction (BIP352, "Scanning").
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct TweakTx {
    /// Transaction.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// `input_hash·A`, 33 bytes in hex.
    pub tweak: String,
    /// Its taproot outputs, spent ones too.
    pub outputs: Vec<TweakOutput>,
    /// Present and true where further outputs follow: the next part begins with the same `txid` and `tweak`. Only all outputs together can be
    /// scanned.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
}

/// A taproot output.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct TweakOutput {
    /// Index of the output.
    pub vout: u32,
    /// X-only public key, 32 bytes in hex.
    pub public_key: String,
    /// Satoshis.
    pub amount_sats: u64,
}

fn one() -> u32 {
    1
}
