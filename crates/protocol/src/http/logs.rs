//! `GET /logs`: the newest lines of the relay's own log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Severity of a log line. The order is that of severity, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Only with `log.level` at `trace`.
    Trace,
    /// Only with `log.level` at `debug` or below.
    Debug,
    /// What an operator may like to know.
    Info,
    /// What an operator should know.
    Warn,
    /// What an operator must look at.
    Error,
}

/// `GET /logs`, newest last.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "logs": [
        {
            "timestamp": "2024-12-19T10:00:00Z", "level": "info", "message": "listening", "relay_id": "relay-1",
            "http": "0.0.0.0:8091", "ws": "0.0.0.0:8090", "module": "cli::run", "line": 45
        },
        {
            "timestamp": "2024-12-19T10:00:30Z", "level": "info", "message": "a relay connected", "relay_id": "relay-1",
            "connections": 3, "module": "ws::session", "line": 123
        }
    ],
    "total": 2,
    "levels": {"debug": 0, "info": 2, "warn": 0, "error": 0, "trace": 0},
    "filters": {"level": "info", "limit": 50, "search": "relay"},
    "timestamp": 1734602460
})))]
pub struct Logs {
    /// Those that match the filters: the newest `limit` of them.
    pub logs: Vec<LogLine>,
    /// All that match the filters, not only the listed ones.
    pub total: u64,
    /// Lines by level that match `search`, whatever their level.
    pub levels: LogLevels,
    /// The filters as they were understood.
    pub filters: LogFilters,
    /// Unix seconds.
    pub timestamp: u64,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct LogLine {
    /// RFC 3339 in UTC, `2024-12-19T10:00:00Z`.
    pub timestamp: String,
    /// Severity.
    pub level: LogLevel,
    /// The text.
    pub message: String,
    /// This relay's name.
    pub relay_id: String,
    /// The line's own fields, each under its name. One whose name is that of another key here gets `field_` before it.
    #[serde(flatten)]
    pub fields: BTreeMap<String, LogValue>,
    /// The part of the program that speaks, `sync::history`.
    pub module: String,
    /// Line of its source; `null` when unknown.
    #[schema(required)]
    pub line: Option<u32>,
}

/// Value of a field of a log line.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub enum LogValue {
    /// A number.
    #[schema(value_type = f64)]
    Number(serde_json::Number),
    /// Anything else, as text.
    Text(String),
}

/// Lines by level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[allow(missing_docs, reason = "each is named after its level")]
pub struct LogLevels {
    pub debug: u64,
    pub info: u64,
    pub warn: u64,
    pub error: u64,
    pub trace: u64,
}

/// The filters of `GET /logs`; `null` where there is none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct LogFilters {
    /// This level and above.
    #[schema(required)]
    pub level: Option<LogLevel>,
    /// Lines listed at most.
    pub limit: u64,
    /// Text that the line contains, whatever its case.
    #[schema(required)]
    pub search: Option<String>,
}
