//! The Rust client of `sdk_relay`: connect, subscribe, watch, resume.
//!
//! ```no_run
//! use sdk_relay_client::{Client, ClientEvent, Topic};
//!
//! # async fn first() -> Result<(), Box<dyn std::error::Error>> {
//! let (client, mut events) = Client::builder("ws://127.0.0.1:8090")
//!     .client_id("my-app")
//!     .topics([Topic::Notifications])
//!     .connect()
//!     .await?;
//! println!("pay {:?}", client.relay().silent_payment_address);
//! while let Some(event) = events.recv().await {
//!     if let ClientEvent::Notification(notification) = event {
//!         println!("{notification:?}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//! - **One task owns the socket.** It ends when the last clone of [`Client`] is dropped; [`Events`] then ends too.
//! - **Nothing twice.** A notification whose `event_id` was handed over before is dropped. Those of a watch have no
//!   `event_id`: after a reconnection the relay may tell of a mempool payment to a watch once more.
//! - **Nothing missing without a word.** A lost connection is made again (unless [`ClientBuilder::reconnect`] says
//!   otherwise) and resumes after the last notification; [`ClientEvent::Reconnected`] says whether there is a gap.
//!   To resume in another process, keep the `event_id` of what you have dealt with and give it to
//!   [`ClientBuilder::resume_from`].
//! - **Another relay when the own one is away.** After two attempts there, those that the app has named ([`ClientBuilder::others`]) and those that the relay has told of are
//!   tried, the nearest first; `event_id`s are of the relay that [`Client::relay`] names. The blocks say where the other relay's log goes on:
//!   none is told twice, and those that the other relay never had are taken back. A watch is a scan key: a client that has
//!   watches, or a token, takes these to relays that the app has named only, unless it says [`ClientBuilder::trust_mesh`].
//! - **Watches go on where they were.** After a reconnection a relay with an index tells the payments of the blocks that came
//!   meanwhile as `historical`; of one without, [`ClientEvent::WatchGap`] says that they are missing.
//! - **Blocks come whole.** The relay sends the tweaks of a large block in parts; they are one notification here, with the `event_id` of the
//!   last part. Only where the app resumes inside a block, or behind a gap, can the first parts be missing: `part` is then not 1.
//! - **Everything is bounded.** Who does not read its [`Events`] stops the reading of the socket: answers wait behind
//!   events, and the relay closes the connection of a client that stays too slow for too long (code 1013).
//!
//! The sizes and times are in [`defaults`].

mod backoff;
mod builder;
mod client;
mod connection;
pub mod defaults;
mod driver;
mod error;
mod event;
mod heard;
mod in_flight;
mod link;
mod parts;
mod raw;
mod routes;
mod tls;
mod transport;
mod watches;

pub use builder::ClientBuilder;
pub use client::Client;
pub use error::{ConnectError, Disconnect, RequestError};
pub use event::{ClientEvent, Events};
pub use link::{Link, Proof};
pub use raw::{Frame, RawClient};
pub use sdk_relay_protocol as protocol;
pub use sdk_relay_protocol::{
    Event, HandshakeResponse, HistoryState, MissingBlocks, MissingReason, Notification, Payment, Resume, SyncPayload,
    SyncType, Topic, Watch,
};
