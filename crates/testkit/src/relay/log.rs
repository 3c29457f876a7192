//! Standard error of the relay.

use std::io::{BufRead, BufReader};
use std::process::ChildStderr;
use std::sync::{Arc, Mutex};

/// Largest kept text; older text is dropped, so that a long test with a verbose log does not exhaust memory.
const KEPT: usize = 4 * 1024 * 1024;

/// The text so far. A thread reads the pipe, so that the relay never blocks on it; the thread ends with the relay.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<State>>);

/// The log lines with the relay's addresses, `STATUS ws=HOST:PORT http=HOST:PORT [grpc=HOST:PORT]`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Status {
    /// Both ports are open.
    Listening,
    /// It follows the tip.
    Ready,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Status::Listening => "listening",
            Status::Ready => "ready",
        }
    }
}

/// `HOST:PORT` of each API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) ws: String,
    pub(super) http: String,
    pub(super) grpc: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    text: String,
    listening: Option<Addresses>,
    ready: Option<Addresses>,
    complete: bool,
}

impl Log {
    pub(super) fn drain(stderr: ChildStderr) -> Log {
        let log = Log::default();
        let writer = log.clone();
        let reader = std::thread::Builder::new().spawn(move || {
            let mut stderr = BufReader::new(stderr);
            let mut line = Vec::new();
            while stderr.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                writer.add(&String::from_utf8_lossy(&line));
                line.clear();
            }
            writer.0.lock().unwrap().complete = true;
        });
        reader.expect("a thread");
        log
    }

    pub(super) fn text(&self) -> String {
        self.0.lock().unwrap().text.clone()
    }

    /// The addresses of a line, once it is there.
    pub(super) fn addresses(&self, status: Status) -> Option<Addresses> {
        let state = self.0.lock().unwrap();
        match status {
            Status::Listening => state.listening.clone(),
            Status::Ready => state.ready.clone(),
        }
    }

    /// Whether the relay has closed its standard error: nothing will follow.
    pub(super) fn complete(&self) -> bool {
        self.0.lock().unwrap().complete
    }

    fn add(&self, line: &str) {
        let mut state = self.0.lock().unwrap();
        state.text.push_str(line);
        state.listening = state.listening.take().or_else(|| addresses(line, Status::Listening));
        state.ready = state.ready.take().or_else(|| addresses(line, Status::Ready));
        let excess = state.text.len().saturating_sub(KEPT);
        if let Some(end) = state.text[state.text.ceil_char_boundary(excess)..]
            .find('\n')
            .filter(|_| excess > 0)
        {
            let cut = state.text.ceil_char_boundary(excess) + end + 1;
            state.text.drain(..cut);
        }
    }
}

/// `… ready ws=127.0.0.1:40001 http=127.0.0.1:40002 …`
fn addresses(line: &str, status: Status) -> Option<Addresses> {
    let mut words = line.split_whitespace();
    words.find(|word| *word == status.as_str())?;
    let words: Vec<_> = words.collect();
    let value = |key| words.iter().find_map(|word| word.strip_prefix(key)).map(str::to_owned);
    Some(Addresses {
        ws: value("ws=")?,
        http: value("http=")?,
        grpc: value("grpc="),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_addresses_of_the_ready_line() {
        let line =
            "2026-01-01T00:00:00Z  INFO sdk_relay: ready ws=127.0.0.1:40001 http=127.0.0.1:40002 network=regtest\n";
        let expected = |grpc: Option<&str>| Addresses {
            ws: "127.0.0.1:40001".to_owned(),
            http: "127.0.0.1:40002".to_owned(),
            grpc: grpc.map(str::to_owned),
        };
        assert_eq!(addresses(line, Status::Ready), Some(expected(None)));
        let with_grpc = line.replace(" network", " grpc=127.0.0.1:40003 network");
        assert_eq!(
            addresses(&with_grpc, Status::Ready),
            Some(expected(Some("127.0.0.1:40003")))
        );
        assert_eq!(
            addresses("INFO sdk_relay: not yet ready for ws=1\n", Status::Ready),
            None
        );
        assert_eq!(addresses(line, Status::Listening), None);
    }

    #[test]
    fn keeps_the_newest_lines_of_a_long_text() {
        let log = Log::default();
        let line = format!("{}é\n", "x".repeat(1000));
        for _ in 0..KEPT / line.len() + 100 {
            log.add(&line);
        }
        let text = log.text();
        assert!(text.len() <= KEPT && text.len() > KEPT - 2 * line.len());
        assert!(text.starts_with(&line) && text.ends_with(&line));
    }
}
