//! Telemetry for the operator: counters, figures of the process, the log; and the clock.
//!
//! This crate depends on no other part of the relay: measured values are passed in.

pub mod clock;
mod counters;
pub mod log;
mod node;
mod process;
mod rate;
mod version;
mod vitals;

pub use counters::{Counters, WatchCounters};
pub use log::LogTap;
pub use node::NodeFigures;
pub use process::{Process, ProcessFigures};
pub use rate::Rate;
pub use version::SOFTWARE_VERSION;
pub use vitals::{Vitals, WalletState};
