//! `GET /logs`: the newest lines of the log of the relay.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use sdk_relay_http_common::{ApiError, Json, query};
use sdk_relay_platform::blocking;
use sdk_relay_protocol::http::{LogFilters, LogLevel, LogLine, LogValue, Logs};
use sdk_relay_service::Identity;
use sdk_relay_telemetry::LogTap;
use sdk_relay_telemetry::clock::{rfc3339, unix_now};
use sdk_relay_telemetry::log::{Line, LineFilter, Value};
use serde::Deserialize;
use serde_json::Number;

/// Longest search text, in characters.
const SEARCH_CHARS: usize = 256;
/// Keys of every line. A field of this name is renamed, because a line has each key once.
const KEYS: [&str; 6] = ["timestamp", "level", "message", "relay_id", "module", "line"];

/// Filters of `GET /logs`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogsQuery {
    /// `trace`, `debug`, `info`, `warn` or `error`: this level and above.
    #[param(value_type = Option<LogLevel>, inline, nullable = false)]
    level: Option<String>,
    /// Maximum number of lines: 1 to 1000, default 100.
    #[param(minimum = 1, maximum = 1000, default = 100, nullable = false)]
    #[serde(default, deserialize_with = "query::number")]
    limit: Option<u64>,
    /// Text that the message, the module or a field contains, in any case.
    #[param(max_length = 256, nullable = false)]
    search: Option<String>,
}

/// Returns the newest lines of the relay's log that match, newest last.
#[utoipa::path(
    get,
    path = "/logs",
    operation_id = "getLogs",
    tag = "Operation",
    security(("adminToken" = [])),
    params(LogsQuery),
    responses(
        (status = 200, description = "The lines, and their numbers", body = Logs),
        (status = 400, description = "The query cannot be parsed"),
        (status = 403, description = "The request comes from a page whose origin is neither the relay's own nor in `http.cors_origins`"),
        (status = 422, description = "The value of a filter is not acceptable"),
    ),
)]
pub(super) async fn logs(
    State(log): State<LogTap>,
    State(identity): State<Arc<Identity>>,
    query: Result<Query<LogsQuery>, QueryRejection>,
) -> Result<Json<Logs>, ApiError> {
    let Query(LogsQuery { level, limit, search }) = query?;
    let limit = query::limit(limit)?;
    let level: Option<LogLevel> = query::parse_enum("level", level.as_deref(), "trace, debug, info, warn, error")?;
    if search.as_ref().is_some_and(|text| text.chars().count() > SEARCH_CHARS) {
        return Err(ApiError::field(
            "search",
            format!("expected at most {SEARCH_CHARS} characters"),
        ));
    }
    let filter = LineFilter {
        level: level.unwrap_or(LogLevel::Trace),
        search: search.clone(),
        limit: limit as usize,
    };
    let found = blocking::spawn(move || log.search(&filter))
        .await
        .map_err(|_| ApiError::internal())?;
    Ok(Json(Logs {
        logs: found.lines.iter().map(|line| shown(line, &identity.relay_id)).collect(),
        total: found.total,
        levels: found.levels,
        filters: LogFilters { level, limit, search },
        timestamp: unix_now(),
    }))
}

fn shown(line: &Line, relay_id: &str) -> LogLine {
    LogLine {
        timestamp: rfc3339(line.at),
        level: line.level,
        message: line.message.clone(),
        relay_id: relay_id.to_owned(),
        fields: line
            .fields
            .iter()
            .map(|(name, value)| (key(name), shown_value(value)))
            .collect(),
        module: line.module().to_owned(),
        line: line.line,
    }
}

fn key(name: &str) -> String {
    if KEYS.contains(&name) {
        format!("field_{name}")
    } else {
        name.to_owned()
    }
}

fn shown_value(value: &Value) -> LogValue {
    match value {
        Value::Text(text) => LogValue::Text(text.clone()),
        Value::Unsigned(number) => LogValue::Number(Number::from(*number)),
        Value::Signed(number) => LogValue::Number(Number::from(*number)),
        // JSON cannot represent infinities.
        Value::Float(number) => {
            Number::from_f64(*number).map_or_else(|| LogValue::Text(number.to_string()), LogValue::Number)
        }
    }
}
