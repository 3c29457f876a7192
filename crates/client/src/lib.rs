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
//! # Guarantees
//! - **One task owns the socket.** It ends when the last clone of [`Client`] is dropped; [`Events`] then ends too.
//! - **No notification twice.** A notification whose `event_id` the app has received is dropped. Notifications of a
//!   watch have no `event_id`: after a reconnect the relay may report a mempool payment to a watch again.
//! - **No silent loss.** The client reconnects when the connection is lost (unless [`ClientBuilder::reconnect`] is
//!   off), and resumes after the last notification. [`ClientEvent::Reconnected`] says whether there is a gap. To resume
//!   in another process, store the `event_id` of each notification after you have processed it, and pass the last one
//!   to [`ClientBuilder::resume_from`].
//! - **Failover to another relay.** After two failed attempts, the client tries the relays of
//!   [`ClientBuilder::others`], and those that its relay has listed, nearest first. An `event_id` belongs to the relay
//!   that [`Client::relay`] names. The client finds its position in the other relay's log by block hashes: it reports
//!   no block twice, and disconnects the blocks that the other relay never had. It sends scan keys of watches only to
//!   relays that the app has named, unless [`ClientBuilder::trust_mesh`] is on, and the token only to relays that the
//!   app has named.
//! - **Watches continue.** After a reconnect, a relay with an index reports the payments of the blocks in between as
//!   `historical`. After a gap it also scans the 100 blocks before the disconnect again, as they may have been
//!   replaced, and reports their payments once more. Spends are reported of the payments since the disconnect; of older
//!   ones only if the app watches again with the `from_height` of its oldest unspent output. If the relay has no index,
//!   [`ClientEvent::WatchGap`] says that they are missing.
//! - **Detached watches.** With [`Watch::detach`](protocol::Watch::detach) the relay goes on with a watch while the
//!   client is away, and keeps its matches until the app [releases](Client::release) them. After a reconnect to the
//!   same relay the client attaches again, and the app receives each match once. If the watch has ended meanwhile,
//!   it is registered again with the blocks in between ([`ClientEvent::WatchRenewed`]). In another process, the app
//!   [attaches](Client::attach) with the `watch_id`, the `watch_token` and the last `watch_seq` that it has stored.
//!   The token is sent to no other relay.
//! - **Newer relays.** A notification of a type that this version does not know is ignored.
//! - **Whole blocks.** The relay sends the tweaks of a large block in parts. The client joins them into one
//!   notification with the `event_id` of the last part. Only if the app resumes inside a block, or after a gap, can the
//!   first parts be missing: `part` is then not 1.
//! - **Everything is bounded.** If the app does not read its [`Events`], the client stops reading the socket: responses
//!   wait behind events, and the relay closes the connection of a client that stays too slow for too long (code 1013).
//!
//! Sizes and timeouts are in [`defaults`].

/// The program of the documentation, compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/write-a-client.md")]
struct WriteAClient;

mod backoff;
mod builder;
mod certificates;
mod client;
mod connection;
pub mod defaults;
mod dial;
mod driver;
mod error;
mod event;
mod in_flight;
mod link;
mod parts;
mod raw;
mod reattach;
mod reported;
mod routes;
mod tls;
mod transport;
mod watches;

/// Checks that a URL is one of the WebSocket API, without a connection.
pub fn check_url(url: &str) -> Result<(), ConnectError> {
    transport::address(url).map(drop)
}

pub use builder::ClientBuilder;
pub use certificates::{CertificatesError, certificates};
pub use client::Client;
pub use dial::{ByteStream, Dial, Dialled, Tcp};
pub use error::{ConnectError, Disconnect, RequestError};
pub use event::{ClientEvent, Events};
pub use link::{Link, Proof};
pub use raw::{Frame, RawClient};
pub use sdk_relay_protocol as protocol;
pub use sdk_relay_protocol::{
    Event, HandshakeResponse, HistoryState, MissingBlocks, MissingReason, Notification, Payment, PaymentSpent, Resume,
    SyncPayload, SyncType, Topic, Watch,
};
pub use tls::{Trust, can_be_trusted, speaks_no_tls, tls_error, tls_reason};
