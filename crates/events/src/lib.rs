//! Fan-out: events become bytes once, and every client reads them at its own pace.
//!
//! There is no queue per client. The hub keeps the newest events as [`Frame`]s in one ring; a client is a [`Cursor`]
//! into the log, and reads from the ring, or from the store while it catches up. The hand-over from catching up to live
//! is therefore no event of its own: nothing can be lost or repeated there. Memory does not depend on the number of
//! clients or on how slow they are.

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
