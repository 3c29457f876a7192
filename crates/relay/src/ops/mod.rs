//! What an operator looks at: health, counters, reports, the log.

mod counters;
pub mod log;
mod node;
mod process;
mod rate;
pub mod reports;
mod vitals;

pub use counters::Counters;
pub use log::LogTap;
pub use node::NodeFigures;
pub use process::{Process, ProcessFigures};
pub use rate::Rate;

pub use vitals::{Vitals, WalletState};
