use tracing_subscriber::prelude::*;

use sdk_relay_protocol::http::{LogLevel, LogLevels};

use super::*;

fn with_tap(log: impl FnOnce()) -> LogTap {
    let tap = LogTap::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(tap.clone()), log);
    tap
}

fn filter(level: LogLevel, search: &str, limit: usize) -> LineFilter {
    LineFilter {
        level,
        search: (!search.is_empty()).then(|| search.to_owned()),
        limit,
    }
}

fn messages(found: &Found) -> Vec<&str> {
    found.lines.iter().map(|line| line.message.as_str()).collect()
}

#[test]
fn counts_errors_alone() {
    let tap = with_tap(|| {
        tracing::info!("fine");
        tracing::error!(error = %"disk full", "cannot write");
    });
    assert_eq!(tap.errors(), 1);
    assert_eq!(tap.last_error().as_deref(), Some("cannot write: disk full"));
}

#[test]
fn a_line_has_its_place_and_its_fields() {
    let line_before = line!();
    let tap = with_tap(|| {
        tracing::warn!(height = 7_u32, change = -1, share = 0.5, own = true, hash = %"00ff", "block {}", 7);
    });
    let found = tap.search(&filter(LogLevel::Trace, "", 10));
    let [line] = found.lines.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!((line.level, line.message.as_str()), (LogLevel::Warn, "block 7"));
    let text = |text: &str| Value::Text(text.to_owned());
    assert_eq!(
        line.fields,
        [
            ("height", Value::Unsigned(7)),
            ("change", Value::Signed(-1)),
            ("share", Value::Float(0.5)),
            ("own", text("true")),
            ("hash", text("00ff")),
        ]
    );
    assert_eq!(
        (line.module(), line.line),
        ("telemetry::log::tests", Some(line_before + 2))
    );
}

#[test]
fn level_search_and_limit() {
    let tap = with_tap(|| {
        tracing::debug!("Synchronising");
        tracing::info!("Sync 1 ended");
        tracing::info!("ready");
        tracing::warn!(peer = "SYNC-2", "slow");
        tracing::error!(reason = "Größe", "cannot sync");
    });
    let found = tap.search(&filter(LogLevel::Info, "sYnC", 2));
    assert_eq!(messages(&found), ["slow", "cannot sync"], "the newest, newest last");
    assert_eq!(found.total, 3, "before the limit");
    let levels = LogLevels {
        debug: 1,
        info: 1,
        warn: 1,
        error: 1,
        trace: 0,
    };
    assert_eq!(found.levels, levels, "whatever the level");
    assert_eq!(messages(&tap.search(&filter(LogLevel::Trace, "GRÖSSE", 9))), [""; 0]);
    assert_eq!(
        messages(&tap.search(&filter(LogLevel::Trace, "GRÖ", 9))),
        ["cannot sync"]
    );
    assert_eq!(
        messages(&tap.search(&filter(LogLevel::Trace, "peer", 9))),
        ["slow"],
        "names of fields"
    );
    assert_eq!(
        tap.search(&filter(LogLevel::Trace, "log::tests", 9)).total,
        5,
        "modules"
    );
    assert_eq!(tap.search(&filter(LogLevel::Error, "", 9)).total, 1);
}

#[test]
fn bounded_in_lines() {
    let tap = with_tap(|| {
        for number in 0..=ring::LINES {
            tracing::info!(number, "line");
        }
    });
    assert_eq!(tap.inner.ring.size().0, ring::LINES);
    let found = tap.search(&filter(LogLevel::Trace, "", usize::MAX));
    assert_eq!(found.total, ring::LINES as u64);
    assert_eq!(found.lines.len(), ring::LINES, "every line once");
    let numbers: Vec<_> = found.lines.iter().map(|line| line.fields[0].1.clone()).collect();
    assert!(
        (1..=ring::LINES as u64).map(Value::Unsigned).eq(numbers),
        "in order, without holes"
    );
}

#[test]
fn bounded_in_bytes() {
    let long = "é".repeat(line::TEXT_BYTES);
    let tap = with_tap(|| {
        for _ in 0..ring::LINES {
            tracing::info!(a = long, b = long, c = ?long, "{long}");
        }
    });
    let (lines, bytes) = tap.inner.ring.size();
    assert!(
        bytes <= ring::BYTES && bytes > ring::BYTES - 5 * line::TEXT_BYTES,
        "{bytes}"
    );
    assert!(lines < ring::LINES);
    let newest = tap.search(&filter(LogLevel::Trace, "", 1));
    let message = &newest.lines[0].message;
    assert!(
        message.len() <= line::TEXT_BYTES + 3 && message.ends_with("é…"),
        "{}",
        message.len()
    );
}
