//! The development chain under the follower, and beside a real node.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the functions beside the tests are tests too"
)]

mod follower;
mod node;
