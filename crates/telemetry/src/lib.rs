//! Telemetry for the operator: traffic, figures of the process, the log; and the clock.
//!
//! This crate depends on no other part of the relay: measured values are passed in.

pub mod clock;
mod histogram;
pub mod log;
mod node;
mod process;
mod rate;
mod timings;
mod traffic;
mod version;
mod vitals;

pub use histogram::{Bounds, Histogram, HistogramFamily};
pub use log::LogTap;
pub use node::NodeFigures;
pub use process::{Process, ProcessFigures};
pub use rate::Rate;
pub use timings::{Stages, Timings};
pub use traffic::{Traffic, WatchTraffic};
pub use version::{SOFTWARE_VERSION, register_build};
pub use vitals::{Vitals, WalletState};
