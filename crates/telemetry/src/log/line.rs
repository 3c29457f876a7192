//! One line of the log: bounded, whatever was logged.

use std::fmt::{self, Debug, Write};
use std::time::SystemTime;

use sdk_relay_protocol::http::LogLevel;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// Bytes of a message, and of the value of a field, that are kept: more than any of the relay's own lines has. What a
/// peer says can be longer.
pub(super) const TEXT_BYTES: usize = 2048;
/// Fields of a line that are kept. The relay's own lines have half a dozen at most.
pub(super) const FIELDS: usize = 32;
/// What a text that was cut ends with.
const CUT: &str = "…";

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// When it was logged.
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

/// Where an event comes from.
#[derive(Clone, Debug, PartialEq)]
enum Target {
    /// From `tracing`.
    Static(&'static str),
    /// From the crate `log`, whose targets `tracing` carries in a field.
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

    /// The part of the program that speaks: the path of the module without the crate's first name.
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

    /// The message, and the field `error` where there is one.
    pub(super) fn with_its_error(&self) -> String {
        let error = self.fields.iter().find_map(|(name, value)| match value {
            Value::Text(text) if *name == "error" => Some(text),
            _ => None,
        });
        error.map_or_else(|| self.message.clone(), |error| format!("{}: {error}", self.message))
    }

    /// Memory that it takes, near enough.
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
            // The rest of what the crate `log` brings says the same again.
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

/// The text, cut where it is too long. What is beyond is not even made.
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
