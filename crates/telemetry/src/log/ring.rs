//! The newest lines, bounded in number and in bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::Line;

/// Largest number of lines: hours of an ordinary log, ten times the largest `limit`.
pub(super) const LINES: usize = 10_000;
/// Largest total size of lines in bytes. An ordinary line takes 250; a line with text from a peer can take more.
pub(super) const BYTES: usize = 4 << 20;

/// A ring buffer. Its lines are numbered from 0 and shared: a reader copies pointers, a few at a time.
#[derive(Debug, Default)]
pub(super) struct Ring(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Arc<Line>>,
    /// Number of the next line.
    next: u64,
    bytes: usize,
}

impl Ring {
    /// Adds a line; removes the oldest if there is no capacity.
    pub(super) fn push(&self, line: Line) {
        let line = Arc::new(line);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.bytes += line.size();
        state.lines.push_back(line);
        state.next += 1;
        while state.lines.len() > LINES || state.bytes > BYTES {
            let Some(oldest) = state.lines.pop_front() else { break };
            state.bytes -= oldest.size();
        }
    }

    /// Number of the next line.
    pub(super) fn next(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next
    }

    /// Adds to `lines` up to `most` lines with numbers below `before`, the newest first.
    pub(super) fn before(&self, before: u64, most: usize, lines: &mut Vec<Arc<Line>>) {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = usize::try_from(state.next.saturating_sub(before)).unwrap_or(usize::MAX);
        lines.extend(state.lines.iter().rev().skip(newer).take(most).cloned());
    }

    /// Lines and bytes now.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        let state = self.0.lock().unwrap();
        (state.lines.len(), state.bytes)
    }
}
