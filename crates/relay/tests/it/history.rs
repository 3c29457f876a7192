//! Watches with `from_height`: the whole history, in order, and its joint with what happens meanwhile.

mod damaged;
mod hearer;
mod joint;
mod order;
mod pruned;
mod start;
mod tweaks;
