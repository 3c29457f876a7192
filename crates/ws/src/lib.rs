//! The WebSocket API.
//!
//! Clients connect to the WebSocket port ([`serve_websockets`]) or over the HTTP port ([`edge`]). They receive the
//! events that the hub publishes, and answers to their messages. [`mod@upgrade`] turns an HTTP request into a socket,
//! [`mod@serve`] admits a client, [`connection`] is the task of one socket, [`session`] parses each message into an
//! action and does no I/O, [`socket`] reads and writes the frames.

mod asyncapi;
mod begin;
mod connection;
mod detach;
mod handles;
mod listener;
mod route;
mod serve;
mod session;
pub mod socket;
#[cfg(test)]
mod testing;
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
