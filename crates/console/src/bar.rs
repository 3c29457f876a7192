//! A progress bar: what is done, a bar, how much of it in percent, and the time left.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

/// Positions of the bar.
const STEPS: u64 = 10_000;
/// The time left is not estimated from less: the first steps are not typical.
const LEAST_FRACTION: f64 = 0.001;
const LEAST_TIME: Duration = Duration::from_secs(1);

/// A progress bar.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    /// When it was made, and the fraction then: work that continues does not begin at 0.
    begun: (Instant, f64),
}

impl Bar {
    /// `place` decides where it is drawn.
    pub(crate) fn new(what: &str, fraction: f64, place: impl FnOnce(ProgressBar) -> ProgressBar) -> Self {
        let bar = ProgressBar::new(STEPS);
        // The template is constant; the default style is the fallback.
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {prefix}") {
            bar.set_style(style);
        }
        // Complete before it is placed: the first frame is drawn then.
        bar.set_message(what.to_owned());
        bar.set_prefix(progress_text(fraction, None));
        bar.set_position(position(fraction));
        let bar = place(bar);
        bar.tick();
        let begun = (Instant::now(), fraction);
        Self { bar, begun }
    }

    /// Shows `what` and the fraction that is done, from 0 to 1.
    pub fn set(&self, what: &str, fraction: f64) {
        let (at, from) = self.begun;
        let left = time_left(from, fraction, at.elapsed());
        self.bar.set_message(what.to_owned());
        self.bar.set_prefix(progress_text(fraction, left));
        self.bar.set_position(position(fraction));
    }

    /// Writes something to the terminal, above the bar.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Removes it.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn position(fraction: f64) -> u64 {
    (fraction.clamp(0.0, 1.0) * STEPS as f64) as u64
}

/// The time left at the average speed so far; `None` while it cannot be known.
fn time_left(from: f64, fraction: f64, elapsed: Duration) -> Option<Duration> {
    let done = fraction - from;
    if done < LEAST_FRACTION || elapsed < LEAST_TIME {
        return None;
    }
    let rest = (1.0 - fraction).max(0.0);
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * rest / done).ok()
}

/// `61 %, 8 min left`.
fn progress_text(fraction: f64, left: Option<Duration>) -> String {
    let percent = (fraction.clamp(0.0, 1.0) * 100.0) as u64;
    match left {
        None => format!("{percent} %, estimating the time left"),
        Some(left) => format!("{percent} %, {} left", in_words(left)),
    }
}

fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{} s", seconds.max(1)),
        60..7200 => format!("{} min", seconds.div_ceil(60)),
        7200..172_800 => format!("{} h", seconds.div_ceil(3600)),
        _ => format!("{} days", seconds.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;

    /// A terminal that keeps the lines that were written to it.
    #[derive(Clone, Debug, Default)]
    struct Terminal(Arc<Mutex<Vec<String>>>);

    impl Terminal {
        fn write(&self, text: &str) -> io::Result<()> {
            let mut lines = self.0.lock().unwrap();
            if !text.trim().is_empty() {
                lines.push(text.to_owned());
            }
            Ok(())
        }

        fn lines(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }
    }

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            120
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.write(text)
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_frame_has_what_percent_and_time_left() {
        let terminal = Terminal::default();
        let bar = Bar::new("tweak index: block 700000 of 900000", 0.5, |bar| {
            bar.set_draw_target(ProgressDrawTarget::term_like(Box::new(terminal.clone())));
            bar
        });
        bar.set("tweak index: block 800000 of 900000", 0.75);
        let frames = terminal.lines();
        assert!(!frames.is_empty());
        for frame in &frames {
            assert!(
                frame.starts_with("tweak index: block ") && frame.contains(" %, "),
                "{frame}"
            );
            assert!(frame.trim_end().ends_with("left"), "{frame}");
            assert!(!frame.contains("0s") && !frame.contains("/s"), "{frame}");
        }
        let first = frames.first().unwrap();
        assert!(first.trim_end().ends_with("50 %, estimating the time left"), "{first}");
    }

    #[test]
    fn the_time_left_counts_from_where_the_work_continued() {
        let seconds = Duration::from_secs;
        assert_eq!(time_left(0.5, 0.5, seconds(60)), None);
        assert_eq!(time_left(0.0, 0.5, Duration::ZERO), None);
        assert_eq!(time_left(0.0, 0.25, seconds(30)), Some(seconds(90)));
        assert_eq!(time_left(0.5, 0.75, seconds(30)), Some(seconds(30)));
        assert_eq!(time_left(0.0, 1.0, seconds(30)), Some(Duration::ZERO));
        for (time, text) in [
            (0, "1 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "2 min"),
            (7200, "2 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(in_words(seconds(time)), text);
        }
        assert_eq!(progress_text(0.0, None), "0 %, estimating the time left");
        assert_eq!(progress_text(0.614, Some(seconds(480))), "61 %, 8 min left");
        assert_eq!(progress_text(f64::NAN, None), "0 %, estimating the time left");
    }
}
