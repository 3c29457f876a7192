//! What the program prints: its log, progress bars, and lines of the command line.
//!
//! In come log events, the status of the index and texts; out go lines on standard error and standard output. Lines of
//! the log stand above the bars ([`new_bar`], [`show_progress`]), as both write to the same terminal.

mod log;
mod progress;
mod text;
mod welcome;

pub use log::{Log, LogError, log_panic};
pub use progress::{new_bar, show_progress};
pub use text::{say, say_error};
pub use welcome::welcome;
