//! The WebSocket API.
//!
//! In come connections: on a port of their own ([`serve_websockets`]), and over the HTTP port ([`edge`]). Out go events
//! as the hub publishes them, and answers. [`mod@upgrade`] turns an HTTP request into a socket, [`mod@serve`] admits a
//! client, [`connection`] is the actor of one socket, [`session`] decides what each message means and does no I/O,
//! [`socket`] is the narrow waist through which bytes go in and out.

mod asyncapi;
mod begin;
mod connection;
mod handles;
mod listener;
mod route;
mod serve;
mod session;
pub mod socket;
mod timeouts;
mod tweaks_history;
mod upgrade;
mod watch;

pub use handles::Handles;
pub use listener::serve_websockets;
pub use route::edge;
pub use serve::{Arrival, serve};
pub use socket::MAX_MESSAGE;
pub use timeouts::Timeouts;
pub use upgrade::{Refused, open, upgrade};
