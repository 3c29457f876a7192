//! One event of the log: its columns, and the notification as it is sent.

use bitcoin::BlockHash;
use bytes::Bytes;
use sdk_relay_protocol::{Event, Topic};

/// One event of the log. Readers decide by its columns; nobody parses the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number, the `event_id` of the notification.
    pub id: u64,
    /// Whose subscribers get it.
    pub topic: Topic,
    /// What it is about.
    pub kind: EventKind,
    /// Height of the block that it is about, if there is one.
    pub height: Option<u32>,
    /// Hash of that block.
    pub block_hash: Option<BlockHash>,
    /// The notification as JSON text, as it is sent.
    pub payload: Bytes,
}

/// What an event is about. The numbers are part of the file's format: never change one. A number that a program does
/// not know is read as [`EventKind::Unknown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EventKind {
    /// Of another program; or an event of format 1 that could not be decoded. It is sent as it is. Without a payload
    /// nothing is sent.
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
    /// `tweaks`: a block, or a part of one.
    Tweaks = 7,
    /// `tweaks` of a large block that format 1 logged as one event. The payload is its parts, one a line, of which only
    /// the last has the `event_id`: a client that resumes after an earlier part gets the whole block again.
    TweaksInParts = 8,
}

/// The writer's block hash is not one: a fault of the program.
#[derive(Debug, thiserror::Error)]
#[error("event {id}: {text:?} is not a block hash")]
pub struct InvalidBlockHash {
    /// Id of the event.
    pub id: u64,
    /// What it has in the place of a hash.
    pub text: String,
}

impl LogEntry {
    /// An entry with the columns of this event. `payload` is its notification, encoded.
    pub fn new(id: u64, event: &Event, payload: Bytes) -> Result<Self, InvalidBlockHash> {
        let (kind, height, hash) = match event {
            Event::PaymentDetected(p) => (EventKind::PaymentDetected, p.block_height, p.block_hash.as_ref()),
            Event::PaymentReverted(p) => (EventKind::PaymentReverted, p.block_height, p.block_hash.as_ref()),
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

    /// The messages that a client is sent, in order: one, but for [`EventKind::TweaksInParts`] and for an unknown event
    /// without a payload.
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
    pub const ALL: [Self; 9] = [
        Self::Unknown,
        Self::PaymentDetected,
        Self::PaymentReverted,
        Self::BlockMined,
        Self::BlockDisconnected,
        Self::RelayConnected,
        Self::RelayDisconnected,
        Self::Tweaks,
        Self::TweaksInParts,
    ];

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
