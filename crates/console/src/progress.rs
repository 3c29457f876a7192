//! Progress of the index: a bar on a terminal, else log lines.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use sdk_relay_index::{IndexState, IndexStatus};
use tokio::sync::watch;
use tokio::time::Instant;

/// Interval of log lines: a build of a day writes a few thousand.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// Builds of fewer blocks are too short to show.
const WORTH_SHOWING: u32 = 1000;

/// The bars of this process: other output to the terminal must suspend them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Standard error, for lines above the bars.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Shows the progress of the index whenever it is behind for more than a moment. Ends with its builder.
pub async fn show_progress(mut status: watch::Receiver<IndexStatus>) {
    let terminal = io::stderr().is_terminal();
    let mut bar: Option<ProgressBar> = None;
    let mut line = Instant::now();
    while status.changed().await.is_ok() {
        let now = status.borrow_and_update().clone();
        let height = now.tip.map_or(now.first, |t| t.height);
        let target = now.target.unwrap_or(height);
        if now.state != IndexState::Building {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
        } else if terminal && (bar.is_some() || target.saturating_sub(height) > WORTH_SHOWING) {
            let bar = bar.get_or_insert_with(|| new_bar(u64::from(height)));
            bar.set_length(u64::from(target));
            bar.set_position(u64::from(height));
        } else if !terminal && line.elapsed() >= LINE_EVERY {
            line = Instant::now();
            let percent = format!("{:.1}", now.progress() * 100.0);
            tracing::info!(height, target, percent, "building the tweak index");
        }
    }
}

/// A bar of heights.
pub fn new_bar(from: u64) -> ProgressBar {
    let bar = BARS.add(ProgressBar::new(from).with_position(from));
    // The template is constant; the default style is the fallback.
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {per_sec} {eta}") {
        bar.set_style(style);
    }
    bar.with_message("tweak index")
}
