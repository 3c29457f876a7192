//! Fan-out: events are encoded once, and each client reads them at its own rate.
//!
//! There is no queue per client. The hub keeps the newest events as [`Frame`]s in one ring; a client is a [`Cursor`]
//! into the log, and reads from the ring, or from the store while it catches up. The transition from catching up to
//! live is implicit: no event can be lost or repeated. Memory does not depend on the number or the speed of clients.

mod cursor;
mod frame;
mod handover;
mod hub;
mod ring;

pub use cursor::{Cursor, Next};
pub use frame::Frame;
pub use hub::{Hub, Report};

#[cfg(test)]
mod tests;
