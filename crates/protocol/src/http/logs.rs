//! `GET /logs`: the newest lines of the relay's log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Severity of a log line, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Recorded only if `log.level` is `trace`.
    Trace,
    /// Recorded only if `log.level` is `debug` or `trace`.
    Debug,
    /// Normal operation.
    Info,
    /// Something that an operator should know.
    Warn,
    /// A failure that an operator must look into.
    Error,
}

/// `GET /logs`, newest last.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "logs": [
        {
            "timestamp": "2024-12-19T10:00:00Z", "level": "info", "message": "listening", "relay_id": "relay-1",
            "http": "0.0.0.0:8091", "ws": "0.0.0.0:8090", "module": "run", "line": 45
        },
        {
            "timestamp": "2024-12-19T10:00:30Z", "level": "info", "message": "relay joined the mesh", "relay_id": "relay-1",
            "connections": 3, "module": "ws::session", "line": 123
        }
    ],
    "total": 2,
    "levels": {"debug": 0, "info": 2, "warn": 0, "error": 0, "trace": 0},
    "filters": {"level": "info", "limit": 50, "search": "relay"},
    "timestamp": 1734602460
})))]
pub struct Logs {
    /// The newest `limit` lines that match the filters, newest last.
    pub logs: Vec<LogLine>,
    /// Number of lines that match the filters, including those not listed.
    pub total: u64,
    /// Number of lines that match `search`, for each level.
    pub levels: LogLevels,
    /// The filters that were applied.
    pub filters: LogFilters,
    /// Unix seconds.
    pub timestamp: u64,
}

/// A log line.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct LogLine {
    /// RFC 3339 in UTC, `2024-12-19T10:00:00Z`.
    pub timestamp: String,
    /// Severity.
    pub level: LogLevel,
    /// Message of the line.
    pub message: String,
    /// This relay's name.
    pub relay_id: String,
    /// Further fields of the line, each under its name. A field with the name of another key here is prefixed with
    /// `field_`.
    #[serde(flatten)]
    pub fields: BTreeMap<String, LogValue>,
    /// Module that logged the line, `sync::history`.
    pub module: String,
    /// Line number in the source; `null` if unknown.
    #[schema(required)]
    pub line: Option<u32>,
}

/// Value of a field.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub enum LogValue {
    /// A number.
    #[schema(value_type = f64)]
    Number(serde_json::Number),
    /// Anything else, as text.
    Text(String),
}

/// Number of lines for each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[allow(missing_docs, reason = "each is named after its level")]
pub struct LogLevels {
    pub debug: u64,
    pub info: u64,
    pub warn: u64,
    pub error: u64,
    pub trace: u64,
}

/// Filters of `GET /logs`; `null` if not set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct LogFilters {
    /// This level and above.
    #[schema(required)]
    pub level: Option<LogLevel>,
    /// Maximum number of lines listed.
    pub limit: u64,
    /// Text that the message, the module or a field contains, in any case.
    #[schema(required)]
    pub search: Option<String>,
}
