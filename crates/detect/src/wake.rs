//! Who wakes the client of a detached watch.

use std::fmt;

use sdk_relay_protocol::{EndReason, Notification};

/// Wakes the client of a detached watch, such as by a webhook or by Web Push.
///
/// Detection calls it on its own thread: an implementation must return at once, and neither block nor wait. It bounds
/// its own queue; of several matches in a row it needs to forward the last one only.
pub trait Wake: fmt::Debug + Send + Sync {
    /// A match came in while no connection is attached, or the connection ended before all matches were released.
    fn wake(&self, waiting: &Waiting<'_>);

    /// The watch has ended: nobody is woken for it any more.
    fn ended(&self, watch_id: &str, reason: EndReason);
}

/// Matches that wait for a client.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    /// The watch.
    pub watch_id: &'a str,
    /// `watch_seq` of the newest match.
    pub last_seq: u64,
    /// Matches that the client has not released.
    pub waiting: u64,
    /// The newest match; `None` if a connection has ended. It is private to the client of the watch.
    pub newest: Option<&'a Notification>,
}
