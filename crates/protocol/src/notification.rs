//! Notifications.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::SecretHex;

/// `notification`: an event, the time of the message, and the id of the event in the log.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Notification {
    /// The event.
    #[serde(flatten)]
    pub event: Event,
    /// Unix second at which the message was made.
    pub timestamp: u64,
    /// Increases by one with every event of the log, across restarts too. `null` for payments to a watch, and their
    /// spends.
    #[serde(default)]
    #[schema(required)]
    pub event_id: Option<u64>,
    /// Only present in matches of a detached watch, which it numbers from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub watch_seq: Option<u64>,
}

/// Events: `notification_type`, and its `data`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(tag = "notification_type", content = "data", rename_all = "snake_case")]
pub enum Event {
    /// An output pays the relay's own wallets or a watch: it entered the mempool, or its block was connected.
    PaymentDetected(Box<Payment>),
    /// The last `payment_detected` of this output is no longer valid: its block was disconnected, or the transaction
    /// was replaced or evicted from the mempool.
    PaymentReverted(Box<Payment>),
    /// A payment is as deep in the chain as one of the depths in `confirm_at` (`wallet.confirm_at` for the relay's own
    /// wallets): `confirmations` is this depth. Reverted by the `payment_reverted` of the payment.
    PaymentConfirmed(Box<Payment>),
    /// An output that was reported is spent, by a transaction in the mempool or in a block.
    PaymentSpent(Box<PaymentSpent>),
    /// The last `payment_spent` of this output is no longer valid: the block of the spending transaction was
    /// disconnected, or the transaction was replaced or evicted from the mempool, or the payment is reverted next.
    PaymentSpentReverted(Box<PaymentSpent>),
    /// A block extends the chain.
    BlockMined(BlockMined),
    /// A reorg removed the tip.
    BlockDisconnected(BlockDisconnected),
    /// A relay joined the mesh or is back, with or without a link to this one; or a relay without a key connected.
    RelayConnected(RelayConnected),
    /// A relay left the mesh or is critical; or a relay without a key disconnected.
    RelayDisconnected(RelayDisconnected),
    /// Tweaks of a block, or a part of them (topic `tweaks`).
    Tweaks(Tweaks),
}

/// An output that pays the relay's own wallets or a watch.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Payment {
    /// Transaction id.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// Height of its block; `null` in the mempool.
    #[schema(required)]
    pub block_height: Option<u32>,
    /// Hash of its block; `null` in the mempool.
    #[schema(pattern = "^[0-9a-f]{64}$", required)]
    pub block_hash: Option<String>,
    /// Value of the output in BTC.
    #[schema(pattern = r"^[0-9]+(\.[0-9]{1,8})?$")]
    pub amount: String,
    /// Address that was paid: the silent-payment address, with its label if a label was used, or an address of the
    /// node's wallet.
    pub address: String,
    /// 0 in the mempool, 1 in a new block; the current number if `historical`; the depth that was reached in
    /// `payment_confirmed`.
    pub confirmations: u32,
    /// Time of the block if confirmed, otherwise when the relay first saw the payment. Unix seconds.
    pub timestamp: u64,
    /// Fee of the transaction in BTC; `null` if unknown.
    #[schema(pattern = r"^[0-9]+(\.[0-9]{1,8})?$", required)]
    pub fee: Option<String>,
    /// Serialised size of the transaction in bytes, including the witness.
    pub size: u64,
    /// Index of the output.
    pub vout: u32,
    /// BIP352 `t_k` including the tweak of the label, 32 bytes in hex: add it to the spend private key to spend the
    /// output. Sent to the owner of the watch only.
    #[schema(required)]
    pub tweak: Option<SecretHex>,
    /// Label that was paid; 0 is the change of the wallet. `null` without a label.
    #[schema(required)]
    pub label: Option<u32>,
    /// Watch that found the payment; `null` for the relay's own wallets.
    #[schema(required)]
    pub watch_id: Option<String>,
    /// Satoshis.
    pub amount_sats: u64,
    /// `fee` in satoshis.
    #[schema(required)]
    pub fee_sats: Option<u64>,
    /// X-only key of the output, 32 bytes in hex: for a watch, the spend public key plus `tweak·G`. `null` if it is not
    /// a taproot output, and from relays before 0.2.0.
    #[serde(default)]
    #[schema(pattern = "^[0-9a-f]{64}$", required)]
    pub public_key: Option<String>,
    /// If `historical`: the transaction in the chain that spends the output. `null` if none does, or if only
    /// `spent_height` is known, because the node does not have the block. Otherwise `null`: `payment_spent` reports it.
    #[serde(default)]
    #[schema(pattern = "^[0-9a-f]{64}$", required)]
    pub spent_by: Option<String>,
    /// Height of the block of that transaction.
    #[serde(default)]
    #[schema(required)]
    pub spent_height: Option<u32>,
    /// Only in `payment_reverted`: the transaction that replaced this one, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{64}$", nullable = false)]
    pub replaced_by: Option<String>,
    /// Only present, and `true`, if the scan of a history found the payment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub historical: bool,
}

/// An output that was reported as a payment, and the input that spends it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct PaymentSpent {
    /// Transaction of the output that is spent.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// Index of this output.
    pub vout: u32,
    /// Value of the output in BTC.
    #[schema(pattern = r"^[0-9]+(\.[0-9]{1,8})?$")]
    pub amount: String,
    /// Satoshis.
    pub amount_sats: u64,
    /// Address that was paid.
    pub address: String,
    /// Label that was paid; 0 is the change of the wallet. `null` without a label.
    #[schema(required)]
    pub label: Option<u32>,
    /// The transaction that spends the output; `null` if only its block is known, because the node does not have the
    /// block.
    #[schema(pattern = "^[0-9a-f]{64}$", required)]
    pub spent_by: Option<String>,
    /// Index of its input; `null` if the relay found the spend in its index.
    #[schema(required)]
    pub vin: Option<u32>,
    /// Height of the block of the spending transaction; `null` in the mempool.
    #[schema(required)]
    pub block_height: Option<u32>,
    /// Hash of that block; `null` in the mempool.
    #[schema(pattern = "^[0-9a-f]{64}$", required)]
    pub block_hash: Option<String>,
    /// 0 in the mempool, 1 in a block.
    pub confirmations: u32,
    /// Time of the block if confirmed, otherwise when the relay first saw the spending transaction. Unix seconds.
    pub timestamp: u64,
    /// Fee of the spending transaction in satoshis; `null` if the relay found the spend in its index.
    #[schema(required)]
    pub fee_sats: Option<u64>,
    /// Watch that found the payment; `null` for the relay's own wallets.
    #[schema(required)]
    pub watch_id: Option<String>,
    /// Only in `payment_spent_reverted`: the transaction that replaced the spending one, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{64}$", nullable = false)]
    pub replaced_by: Option<String>,
}

impl Event {
    /// The watch of a payment or a spend; `None` for other events, and for the relay's own wallets.
    pub fn watch_id(&self) -> Option<&str> {
        match self {
            Self::PaymentDetected(payment) | Self::PaymentReverted(payment) | Self::PaymentConfirmed(payment) => {
                payment.watch_id.as_deref()
            }
            Self::PaymentSpent(spent) | Self::PaymentSpentReverted(spent) => spent.watch_id.as_deref(),
            Self::BlockMined(_)
            | Self::BlockDisconnected(_)
            | Self::RelayConnected(_)
            | Self::RelayDisconnected(_)
            | Self::Tweaks(_) => None,
        }
    }

    /// The block of a payment or a spend; `None` for other events, and in the mempool.
    pub fn block_height(&self) -> Option<u32> {
        match self {
            Self::PaymentDetected(payment) | Self::PaymentReverted(payment) | Self::PaymentConfirmed(payment) => {
                payment.block_height
            }
            Self::PaymentSpent(spent) | Self::PaymentSpentReverted(spent) => spent.block_height,
            Self::BlockMined(_)
            | Self::BlockDisconnected(_)
            | Self::RelayConnected(_)
            | Self::RelayDisconnected(_)
            | Self::Tweaks(_) => None,
        }
    }

    /// Sets the watch of a payment or a spend. No effect on other events.
    pub fn set_watch_id(&mut self, watch_id: String) {
        match self {
            Self::PaymentDetected(payment) | Self::PaymentReverted(payment) | Self::PaymentConfirmed(payment) => {
                payment.watch_id = Some(watch_id);
            }
            Self::PaymentSpent(spent) | Self::PaymentSpentReverted(spent) => spent.watch_id = Some(watch_id),
            Self::BlockMined(_)
            | Self::BlockDisconnected(_)
            | Self::RelayConnected(_)
            | Self::RelayDisconnected(_)
            | Self::Tweaks(_) => {}
        }
    }
}

/// Data of `block_mined`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct BlockMined {
    /// Height.
    pub block_height: u32,
    /// Hash.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub block_hash: String,
    /// Number of transactions, including the coinbase.
    pub transactions: u64,
    /// Serialised size in bytes.
    pub size: u64,
    /// Time in the header, in Unix seconds.
    pub timestamp: u64,
    /// Difficulty, relative to the easiest target of mainnet.
    pub difficulty: f64,
    /// Merkle root.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub merkle_root: String,
}

/// Data of `block_disconnected`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct BlockDisconnected {
    /// Height of the block that was disconnected.
    pub block_height: u32,
    /// Its hash.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub block_hash: String,
    /// Hash of the new tip.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub previous_block_hash: String,
    /// When the relay received it, in Unix seconds.
    pub timestamp: u64,
}

/// Data of `relay_connected`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct RelayConnected {
    /// Name of the relay.
    pub relay_id: String,
    /// Address that the relay advertises, or from which a relay without a key connected. `null` if this relay would not
    /// dial a relay of the mesh there.
    #[schema(required)]
    pub address: Option<String>,
    /// API version that the relay supports.
    pub version: String,
    /// What the relay offers, or requested in its handshake.
    pub capabilities: Vec<String>,
    /// When it happened, in Unix seconds.
    pub timestamp: u64,
    /// Name of the connection: `mesh-` and the name for a relay of the mesh.
    pub connection_id: String,
}

/// Data of `relay_disconnected`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct RelayDisconnected {
    /// Name of the relay.
    pub relay_id: String,
    /// As in its `relay_connected`.
    #[schema(required)]
    pub address: Option<String>,
    /// When it happened, in Unix seconds.
    pub timestamp: u64,
    /// Name of the connection: `mesh-` and the name for a relay of the mesh.
    pub connection_id: String,
}

/// Data of `tweaks`: the eligible transactions of a block, or a part of them if the block is large.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Tweaks {
    /// Height.
    pub block_height: u32,
    /// Hash.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub block_hash: String,
    /// Eligible transactions, in block order.
    pub transactions: Vec<TweakTx>,
    /// Number of this part of the block, from 1. A block is complete with its last part.
    #[serde(default = "one")]
    #[schema(minimum = 1)]
    pub part: u32,
    /// Number of parts of the block. `part` and `parts` are absent, and count as 1, in events that were logged before
    /// parts were supported.
    #[serde(default = "one")]
    #[schema(minimum = 1)]
    pub parts: u32,
    /// Only present, and `true`, if `from_height` requested this block.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub historical: bool,
}

/// An eligible transaction (BIP352, "Scanning").
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct TweakTx {
    /// Transaction id.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// `input_hash·A`, 33 bytes in hex.
    pub tweak: String,
    /// Taproot outputs, including spent ones.
    pub outputs: Vec<TweakOutput>,
    /// Only present, and `true`, if the next part has further outputs of this transaction. It begins with the same
    /// `txid` and `tweak`. Join all outputs before you scan the transaction.
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
