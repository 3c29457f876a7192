//! Every message and resource of both APIs of `sdk_relay`: types only, no I/O.
//!
//! WebSocket API: clients send [`ClientMessage`], the relay sends [`ServerMessage`]. HTTP API: [`http`], and
//! [`blindbit`] for the routes of a BlindBit Oracle. Field order is part of the contract; tests check it.

mod amount;
mod attach;
pub mod blindbit;
mod client;
mod encode;
mod error;
mod handshake;
pub mod http;
pub mod mesh;
mod notification;
mod parts;
mod secret;
mod server;
mod since;
mod subscription;
mod sync;
mod watch;

pub use amount::{AmountError, btc, parse_btc};
pub use attach::{Attach, AttachResponse, EndReason, WatchEnded, WatchGap};
pub use client::{ClientMessage, Ping, Refusal, message_id, parse_client_message};
pub use encode::{EncodeError, encode, encode_text};
pub use error::{CloseCode, ErrorCode, ErrorMessage};
pub use handshake::{
    Handshake, HandshakeResponse, HandshakeStatus, Identity, OtherRelay, RelayChallenge, RelayProof, Resume, Role,
};
pub use notification::{
    BlockDisconnected, BlockMined, Event, Notification, Payment, PaymentSpent, RelayConnected, RelayDisconnected,
    TweakOutput, TweakTx, Tweaks,
};
pub use parts::LARGEST_MESSAGE;
pub use secret::{SecretDescriptor, SecretHex};
pub use server::{Pong, ServerMessage};
pub use since::{Since, SinceError};
pub use subscription::{Subscribe, SubscribeResponse, Topic, Topics, Unsubscribe, UnsubscribeResponse};
pub use sync::{
    HealthPayload, HealthReport, MetricsPayload, MetricsReport, StatePayload, StateReport, Sync, SyncMessage,
    SyncPayload, SyncReply, SyncResponse, SyncType,
};
pub use watch::{
    GREATEST_DEPTH, HistoryState, MOST_DEPTHS, MissingBlocks, MissingReason, Unwatch, UnwatchResponse, Watch,
    WatchProgress, WatchResponse, are_depths,
};

/// The version of this API, in the handshake and in every answer that has a `version`.
pub const API_VERSION: &str = "1.0.0";
