//! Searches the ring without holding its lock: copies pointers to a few lines at a time.

use std::sync::Arc;

use sdk_relay_protocol::http::{LogLevel, LogLevels};

use super::ring::Ring;
use super::{Line, Value};

/// Lines copied at a time: bounds the time for which logging is blocked.
const AT_ONCE: usize = 256;

/// Filter of lines.
#[derive(Clone, Debug)]
pub struct LineFilter {
    /// This level and above.
    pub level: LogLevel,
    /// Text that message, module or fields contain, whatever its case.
    pub search: Option<String>,
    /// Largest number of lines.
    pub limit: usize,
}

/// Result of a search.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The newest `limit` matching lines, newest last.
    pub lines: Vec<Arc<Line>>,
    /// Number of matching lines.
    pub total: u64,
    /// Numbers of lines with the text, by level.
    pub levels: LogLevels,
}

pub(super) fn search(ring: &Ring, filter: &LineFilter) -> Found {
    let needle = filter.search.as_ref().map(|text| text.to_lowercase());
    let mut found = Found::default();
    // New lines have higher numbers; lines removed meanwhile are the oldest, which are read last.
    let mut before = ring.next();
    let mut some = Vec::with_capacity(AT_ONCE);
    loop {
        ring.before(before, AT_ONCE, &mut some);
        if some.is_empty() {
            break;
        }
        before -= some.len() as u64;
        for line in some.drain(..) {
            if needle.as_ref().is_some_and(|needle| !has(&line, needle)) {
                continue;
            }
            count(&mut found.levels, line.level);
            if line.level >= filter.level {
                found.total += 1;
                if found.lines.len() < filter.limit {
                    found.lines.push(line);
                }
            }
        }
    }
    found.lines.reverse();
    found
}

fn count(levels: &mut LogLevels, level: LogLevel) {
    *match level {
        LogLevel::Trace => &mut levels.trace,
        LogLevel::Debug => &mut levels.debug,
        LogLevel::Info => &mut levels.info,
        LogLevel::Warn => &mut levels.warn,
        LogLevel::Error => &mut levels.error,
    } += 1;
}

fn has(line: &Line, needle: &str) -> bool {
    contains(&line.message, needle)
        || contains(line.module(), needle)
        || line.fields.iter().any(|(name, value)| {
            contains(name, needle)
                || match value {
                    Value::Text(text) => contains(text, needle),
                    Value::Unsigned(number) => number.to_string().contains(needle),
                    Value::Signed(number) => number.to_string().contains(needle),
                    Value::Float(number) => number.to_string().contains(needle),
                }
        })
}

/// Whether a text contains `needle`, which is in lower case. ASCII texts, nearly all, need no copy.
fn contains(text: &str, needle: &str) -> bool {
    if !text.is_ascii() {
        return text.to_lowercase().contains(needle);
    }
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    needle.is_empty() || text.windows(needle.len()).any(|part| part.eq_ignore_ascii_case(needle))
}
