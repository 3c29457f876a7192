//! Output of the program: its log, progress bars, and lines of the command line.
//!
//! Log lines are printed above progress bars ([`new_bar`], [`show_progress`]), because both write to the same terminal.

mod bar;
mod log;
mod progress;
mod text;
mod welcome;

pub use bar::Bar;
pub use log::{Log, LogError, log_panic};
pub use progress::{new_bar, show_progress};
pub use text::{say, say_error, say_if_possible, say_warning};
pub use welcome::welcome;
