//! Watches with `from_height`: the complete history, in order, and its handover to live events.

mod damaged;
mod handover;
pub(crate) mod order;
mod pruned;
mod start;
mod tweaks;
mod watch_client;
