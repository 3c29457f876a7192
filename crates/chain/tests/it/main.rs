//! The client of a Bitcoin node with real nodes, and the follower with a simulated one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failure in here is a failed test"
)]

mod follower;
mod follower_node;
mod node;
mod node_blocks;
mod node_faults;
mod node_mempool;
mod node_wallet;
mod node_zmq;
