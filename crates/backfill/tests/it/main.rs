//! Both ends of "history, then live", compared with simple models, and their edge cases.

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
