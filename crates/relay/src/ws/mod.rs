//! The WebSocket API.
//!
//! [`mod@upgrade`] turns an HTTP request into a socket, [`connection`] is the actor of one socket, [`session`] decides what each message means
//! and does no I/O, [`socket`] is the narrow waist through which bytes go in and out.

mod begin;
mod connection;
mod listener;
mod past_tweaks;
mod session;
pub mod socket;
mod upgrade;
mod watch;

pub use connection::{Arrival, serve};
pub use listener::serve_websockets;
pub use socket::MAX_MESSAGE;
pub use upgrade::{Refused, open, upgrade};
