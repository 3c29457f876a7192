//! Watches with `from_height`: the whole history, in order, and its joint with what happens meanwhile.

mod damaged;
mod handover;
mod order;
mod pruned;
mod start;
mod tweaks;
mod watch_client;
