//! One event of the log: its columns, and the encoded notification.

use bitcoin::BlockHash;
use bytes::Bytes;
use sdk_relay_protocol::{Event, Topic};

/// One event of the log. Readers use its columns; the payload is never parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number, the `event_id` of the notification.
    pub id: u64,
    /// Topic whose subscribers receive it.
    pub topic: Topic,
    /// Kind of the event.
    pub kind: EventKind,
    /// Height of its block, if it has one.
    pub height: Option<u32>,
    /// Hash of that block.
    pub block_hash: Option<BlockHash>,
    /// The notification as JSON text.
    pub payload: Bytes,
}

/// Kind of an event. The numbers are part of the file format: never change one. An unknown number is read as
/// [`EventKind::Unknown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EventKind {
    /// Written by another version, or an event of format 1 that could not be decoded. The payload is sent unchanged; if
    /// it is empty, nothing is sent.
    Unknown = 0,
    /// `payment_detected`.
    PaymentDetected = 1,
    /// `payment_reverted`.
    PaymentReverted = 2,
    /// `block_mined`.
    BlockMined = 3,
    /// `block_disconnected`.
    BlockDisconnected = 4,
    /// `relay_connected`.
    RelayConnected = 5,
    /// `relay_disconnected`.
    RelayDisconnected = 6,
    /// `tweaks`: a block, or one part of it.
    Tweaks = 7,
    /// `tweaks` of a large block that format 1 logged as one event. The payload has one part per line, of which only
    /// the last has the `event_id`: a client that resumes after an earlier part receives the whole block again.
    TweaksInParts = 8,
    /// `payment_confirmed`.
    PaymentConfirmed = 9,
    /// `payment_spent`.
    PaymentSpent = 10,
    /// `payment_spent_reverted`.
    PaymentSpentReverted = 11,
}

/// The block hash of the event is invalid: a bug in the relay.
#[derive(Debug, thiserror::Error)]
#[error("event {id}: {text:?} is not a block hash")]
pub struct InvalidBlockHash {
    /// Id of the event.
    pub id: u64,
    /// The invalid hash.
    pub text: String,
}

impl LogEntry {
    /// An entry with the columns of this event. `payload` is its encoded notification.
    pub fn new(id: u64, event: &Event, payload: Bytes) -> Result<Self, InvalidBlockHash> {
        let (kind, height, hash) = match event {
            Event::PaymentDetected(p) => (EventKind::PaymentDetected, p.block_height, p.block_hash.as_ref()),
            Event::PaymentReverted(p) => (EventKind::PaymentReverted, p.block_height, p.block_hash.as_ref()),
            Event::PaymentConfirmed(p) => (EventKind::PaymentConfirmed, p.block_height, p.block_hash.as_ref()),
            Event::PaymentSpent(s) => (EventKind::PaymentSpent, s.block_height, s.block_hash.as_ref()),
            Event::PaymentSpentReverted(s) => (EventKind::PaymentSpentReverted, s.block_height, s.block_hash.as_ref()),
            Event::BlockMined(b) => (EventKind::BlockMined, Some(b.block_height), Some(&b.block_hash)),
            Event::BlockDisconnected(b) => (EventKind::BlockDisconnected, Some(b.block_height), Some(&b.block_hash)),
            Event::RelayConnected(_) => (EventKind::RelayConnected, None, None),
            Event::RelayDisconnected(_) => (EventKind::RelayDisconnected, None, None),
            Event::Tweaks(t) => (EventKind::Tweaks, Some(t.block_height), Some(&t.block_hash)),
        };
        let parse = |text: &String| text.parse().map_err(|_| InvalidBlockHash { id, text: text.clone() });
        Ok(Self {
            id,
            topic: match event {
                Event::Tweaks(_) => Topic::Tweaks,
                _ => Topic::Notifications,
            },
            kind,
            height,
            block_hash: hash.map(parse).transpose()?,
            payload,
        })
    }

    /// The messages to send to a client, in order: several for [`EventKind::TweaksInParts`], none for an unknown event
    /// without a payload, else one.
    pub fn messages(&self) -> impl Iterator<Item = Bytes> + '_ {
        let (whole, parts) = match self.kind {
            EventKind::TweaksInParts => (None, Some(self.payload.split(|byte| *byte == b'\n'))),
            _ => (Some(&self.payload[..]), None),
        };
        let messages = whole.into_iter().chain(parts.into_iter().flatten());
        messages
            .filter(|message| !message.is_empty())
            .map(|message| self.payload.slice_ref(message))
    }
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Unknown,
        Self::PaymentDetected,
        Self::PaymentReverted,
        Self::BlockMined,
        Self::BlockDisconnected,
        Self::RelayConnected,
        Self::RelayDisconnected,
        Self::Tweaks,
        Self::TweaksInParts,
        Self::PaymentConfirmed,
        Self::PaymentSpent,
        Self::PaymentSpentReverted,
    ];

    /// The `notification_type` of its messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::PaymentDetected => "payment_detected",
            Self::PaymentReverted => "payment_reverted",
            Self::BlockMined => "block_mined",
            Self::BlockDisconnected => "block_disconnected",
            Self::RelayConnected => "relay_connected",
            Self::RelayDisconnected => "relay_disconnected",
            Self::Tweaks | Self::TweaksInParts => "tweaks",
            Self::PaymentConfirmed => "payment_confirmed",
            Self::PaymentSpent => "payment_spent",
            Self::PaymentSpentReverted => "payment_spent_reverted",
        }
    }

    /// Its number in the file.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The kind with this number.
    pub fn from_number(number: u8) -> Self {
        let found = Self::ALL.into_iter().find(|kind| kind.number() == number);
        found.unwrap_or(Self::Unknown)
    }
}
