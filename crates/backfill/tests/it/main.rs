//! Both ends of "history, then live" against plain models of what they promise, and at their edges.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure in here is a failed test"
)]

mod edges;
mod end;
mod model;
mod resume;
