//! Progress of the index: a bar on a terminal, else log lines.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::time::Duration;

use indicatif::MultiProgress;
use sdk_relay_index::{IndexState, IndexStatus};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::bar::Bar;

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
    let mut bar: Option<Bar> = None;
    let mut line = Instant::now();
    while status.changed().await.is_ok() {
        let now = status.borrow_and_update().clone();
        let height = now.tip.map_or(now.first, |t| t.height);
        let target = now.target.unwrap_or(height);
        if now.state != IndexState::Building {
            if let Some(bar) = bar.take() {
                bar.clear();
            }
        } else if terminal && (bar.is_some() || target.saturating_sub(height) > WORTH_SHOWING) {
            let what = format!("tweak index: block {height} of {target}");
            match &bar {
                Some(bar) => bar.set(&what, now.progress()),
                None => bar = Some(new_bar(&what, now.progress())),
            }
        } else if !terminal && line.elapsed() >= LINE_EVERY {
            line = Instant::now();
            let percent = format!("{:.1}", now.progress() * 100.0);
            tracing::info!(height, target, percent, "building the tweak index");
        }
    }
}

/// A bar at this fraction, from 0 to 1, of `what`. It is drawn immediately.
pub fn new_bar(what: &str, fraction: f64) -> Bar {
    Bar::new(what, fraction, |bar| BARS.add(bar))
}
