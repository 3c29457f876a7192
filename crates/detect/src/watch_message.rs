//! Messages about watches, as values: each edge encodes them for its clients.

use bitcoin::OutPoint;
use bitcoin::secp256k1::PublicKey;
use sdk_relay_protocol::{MissingBlocks, Notification, ServerMessage, WatchEnded, WatchGap, WatchProgress};

/// Largest memory of a message about a payment, without its entry in the queue. Its longest texts are an address (119
/// characters) and five hashes. Each of them counts as this much, whatever it contains.
pub(super) const PAYMENT_BYTES: usize = 1_296;

/// A message about a watch.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchMessage {
    /// An event of a payment, or of its spend.
    Payment(Box<PaymentMessage>),
    /// Progress of the history.
    Progress(Box<WatchProgress>),
    /// Matches of a detached watch are lost.
    Gap(Box<WatchGap>),
    /// A detached watch has ended, or another connection has attached to it.
    Ended(Box<WatchEnded>),
    /// What was in the mempool when this watch was registered is scanned for it.
    MempoolScanned {
        /// Its id.
        watch_id: String,
    },
    /// After a reorganisation, the chain and the mempool are known as a whole, and scanned for this watch: payments
    /// that were reverted, and have not been reported again, are in neither.
    Settled {
        /// Its id.
        watch_id: String,
    },
}

/// An event of a payment to a watch, or of its spend.
#[derive(Clone, Debug, PartialEq)]
pub struct PaymentMessage {
    /// The output.
    pub outpoint: OutPoint,
    /// The event, without an id: it is not logged.
    pub notification: Notification,
    /// The output as the scan found it; only with `payment_detected`.
    pub found: Option<FoundOutput>,
}

/// An output that a scan found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOutput {
    /// `input_hash·A` of its transaction.
    pub tweak_key: PublicKey,
    /// X-only key of its script.
    pub key: [u8; 32],
}

impl WatchMessage {
    /// The id of the watch.
    pub fn watch_id(&self) -> &str {
        match self {
            Self::Payment(message) => message.notification.event.watch_id().unwrap_or_default(),
            Self::Progress(progress) => &progress.watch_id,
            Self::Gap(gap) => &gap.watch_id,
            Self::Ended(ended) => &ended.watch_id,
            Self::MempoolScanned { watch_id } | Self::Settled { watch_id } => watch_id,
        }
    }

    /// The message as the WebSocket API sends it; `None`: it is only for an edge that keeps what it was told.
    pub fn into_server_message(self) -> Option<ServerMessage> {
        match self {
            Self::Payment(message) => Some(ServerMessage::Notification(message.notification)),
            Self::Progress(progress) => Some(ServerMessage::WatchProgress(*progress)),
            Self::Gap(gap) => Some(ServerMessage::WatchGap(*gap)),
            Self::Ended(ended) => Some(ServerMessage::WatchEnded(*ended)),
            Self::MempoolScanned { .. } | Self::Settled { .. } => None,
        }
    }

    /// Memory in bytes, without its entry in a queue.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Payment(_) => PAYMENT_BYTES,
            Self::Progress(progress) => {
                size_of::<WatchProgress>()
                    + progress.watch_id.len()
                    + progress.missing.len() * size_of::<MissingBlocks>()
            }
            Self::Gap(gap) => size_of::<WatchGap>() + gap.watch_id.len(),
            Self::Ended(ended) => size_of::<WatchEnded>() + ended.watch_id.len(),
            Self::MempoolScanned { watch_id } | Self::Settled { watch_id } => watch_id.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::Txid;
    use bitcoin::hashes::Hash;
    use bitcoin::secp256k1::{Secp256k1, SecretKey};
    use sdk_relay_protocol::{Event, Payment, SecretHex};

    use super::*;

    #[test]
    fn the_largest_payment_is_no_larger_than_scans_count_it() {
        let hash = || "a".repeat(64);
        let payment = Payment {
            txid: hash(),
            block_height: Some(u32::MAX),
            block_hash: Some(hash()),
            amount: "20999999.99999999".to_owned(),
            address: "a".repeat(119),
            confirmations: u32::MAX,
            timestamp: u64::from(u32::MAX),
            fee: Some("20999999.99999999".to_owned()),
            size: 4_000_000,
            vout: u32::MAX,
            tweak: Some(SecretHex::new(hash())),
            label: Some(u32::MAX),
            watch_id: Some(format!("watch-{:016x}", u64::MAX)),
            amount_sats: 2_099_999_999_999_999,
            fee_sats: Some(2_099_999_999_999_999),
            public_key: Some(hash()),
            // A payment has either this, or a replacement.
            spent_by: Some(hash()),
            spent_height: Some(u32::MAX),
            replaced_by: None,
            historical: true,
        };
        // Strings are made with their exact length, or by `format!`, which may reserve as much again.
        let texts = 5 * 64 + 2 * (119 + 2 * 17 + 22);
        let key = SecretKey::from_slice(&[7; 32]).unwrap().public_key(&Secp256k1::new());
        let found = FoundOutput {
            tweak_key: key,
            key: [0; 32],
        };
        let message = WatchMessage::Payment(Box::new(PaymentMessage {
            outpoint: OutPoint::new(Txid::all_zeros(), 0),
            notification: Notification {
                event: Event::PaymentDetected(Box::new(payment)),
                timestamp: u64::from(u32::MAX),
                event_id: None,
                watch_seq: None,
            },
            found: Some(found),
        }));
        assert_eq!(message.watch_id().len(), 22);
        let held = size_of::<PaymentMessage>() + size_of::<Payment>() + texts;
        assert!(held <= message.bytes(), "{held} bytes");
    }
}
