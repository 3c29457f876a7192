//! One log line, of bounded size.

use std::fmt::{self, Debug, Write};
use std::time::SystemTime;

use sdk_relay_protocol::http::LogLevel;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// Bytes kept of a message, and of the value of a field: more than any line of the relay needs. A text from a peer can
/// be longer.
pub(super) const TEXT_BYTES: usize = 2048;
/// Fields kept of a line. Lines of the relay have at most six.
pub(super) const FIELDS: usize = 32;
/// Suffix of a truncated text.
const CUT: &str = "…";

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Time of logging.
    pub at: SystemTime,
    /// Severity.
    pub level: LogLevel,
    /// The text.
    pub message: String,
    /// The event's own fields, in its order.
    pub fields: Vec<(&'static str, Value)>,
    target: Target,
    /// Line of the source.
    pub line: Option<u32>,
}

/// Target of an event.
#[derive(Clone, Debug, PartialEq)]
enum Target {
    /// From `tracing`.
    Static(&'static str),
    /// From the crate `log`, whose targets are in a field of `tracing`.
    Named(String),
}

/// Value of a field.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "they are the kinds of values that `tracing` has")]
pub enum Value {
    Text(String),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl Line {
    pub(super) fn of(event: &Event<'_>, at: SystemTime) -> Self {
        let metadata = event.metadata();
        let mut line = Self {
            at,
            level: match *metadata.level() {
                Level::ERROR => LogLevel::Error,
                Level::WARN => LogLevel::Warn,
                Level::INFO => LogLevel::Info,
                Level::DEBUG => LogLevel::Debug,
                Level::TRACE => LogLevel::Trace,
            },
            message: String::new(),
            fields: Vec::new(),
            target: Target::Static(metadata.target()),
            line: metadata.line(),
        };
        event.record(&mut line);
        line
    }

    /// The module path, without the prefix of the crate name.
    pub fn module(&self) -> &str {
        let target = match &self.target {
            Target::Static(target) => target,
            Target::Named(target) => target.as_str(),
        };
        let own = target
            .strip_prefix("sdk_relay::")
            .or_else(|| target.strip_prefix("sdk_relay_"));
        own.unwrap_or(target)
    }

    /// The message, with the field `error` if there is one.
    pub(super) fn with_its_error(&self) -> String {
        let error = self.fields.iter().find_map(|(name, value)| match value {
            Value::Text(text) if *name == "error" => Some(text),
            _ => None,
        });
        error.map_or_else(|| self.message.clone(), |error| format!("{}: {error}", self.message))
    }

    /// Approximate memory use.
    pub(super) fn size(&self) -> usize {
        let fields = self.fields.iter().map(|(_, value)| {
            size_of::<(&str, Value)>()
                + match value {
                    Value::Text(text) => text.len(),
                    _ => 0,
                }
        });
        let target = match &self.target {
            Target::Static(_) => 0,
            Target::Named(target) => target.len(),
        };
        size_of::<Self>() + self.message.len() + target + fields.sum::<usize>()
    }

    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Text(text)) => self.message = text,
            ("log.target", Value::Text(text)) => self.target = Target::Named(text),
            ("log.line", Value::Unsigned(number)) => self.line = u32::try_from(number).ok(),
            // Redundant fields of the crate `log`.
            ("log.module_path" | "log.file", _) => {}
            (name, value) if self.fields.len() < FIELDS => self.fields.push((name, value)),
            _ => {}
        }
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Value::Float(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Unsigned(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, Value::Text(bounded(format_args!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::Text(bounded(format_args!("{value}"))));
    }
}

/// The text, truncated to the limit. The rest is not formatted.
fn bounded(text: fmt::Arguments<'_>) -> String {
    struct Bounded(String);
    impl Write for Bounded {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = TEXT_BYTES - self.0.len();
            if text.len() <= room {
                self.0.push_str(text);
                return Ok(());
            }
            self.0.push_str(&text[..text.floor_char_boundary(room)]);
            Err(fmt::Error)
        }
    }
    let mut out = Bounded(String::new());
    if out.write_fmt(text).is_err() {
        out.0.push_str(CUT);
    }
    out.0
}
