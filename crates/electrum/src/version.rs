//! `server.version`: the name of this server, and the versions of the protocol.

use std::borrow::Cow;

use sdk_relay_telemetry::SOFTWARE_VERSION;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::args::Args;
use crate::error::RpcError;
use crate::reply::{Text, text};
use crate::request::{Params, list};

/// Versions of the Electrum protocol.
pub(crate) const PROTOCOL_MIN: &str = "1.4";
pub(crate) const PROTOCOL_MAX: &str = "1.4.2";

/// The name of this server. Sparrow sends batches to servers whose names begin with those of certain others; to any
/// other it sends single requests, which it would do here as well as there.
pub(crate) fn server_name() -> String {
    format!("sdk_relay {SOFTWARE_VERSION}")
}

/// `[name, version]`, where the client's version is one, or the least and the highest.
pub(crate) fn version(params: &Params) -> Result<Text, RpcError> {
    let args = Args::new(params, &["client_name", "protocol_version"])?;
    if !matches!(args.scalar(0), Some(Value::Null | Value::String(_))) {
        return Err(args.wrong(0, "expected a text"));
    }
    const EXPECTED: &str = "expected a version such as \"1.4\", or the least and the highest: [\"1.4\", \"1.4.2\"]";
    let (least, most) = match (args.scalar(1), args.get(1)) {
        (Some(Value::Null), _) => (parts(PROTOCOL_MIN), parts(PROTOCOL_MAX)),
        (Some(Value::String(version)), _) => (parts(&version), parts(&version)),
        (None, Some(text)) if text.starts_with('[') => match list(text, 2).as_deref() {
            Some([least, most]) => (parts_of(least), parts_of(most)),
            _ => return Err(args.wrong(1, EXPECTED)),
        },
        _ => return Err(args.wrong(1, EXPECTED)),
    };
    let (Some(least), Some(most)) = (least, most) else {
        return Err(args.wrong(1, EXPECTED));
    };
    let own = (
        parts(PROTOCOL_MIN).unwrap_or_default(),
        parts(PROTOCOL_MAX).unwrap_or_default(),
    );
    if most < own.0 || least > own.1 {
        return Err(RpcError::refused(format!(
            "unsupported protocol version: this relay supports {PROTOCOL_MIN} to {PROTOCOL_MAX}"
        )));
    }
    let agreed = most.min(own.1);
    let shown: Vec<_> = agreed.iter().map(u32::to_string).collect();
    Ok(format!("[{},{}]", text(&server_name()), text(&shown.join("."))))
}

fn parts_of(version: &RawValue) -> Option<Vec<u32>> {
    parts(serde_json::from_str::<Cow<'_, str>>(version.get()).ok()?.as_ref())
}

/// The numbers of a version, without zeros at the end but for the second.
fn parts(version: &str) -> Option<Vec<u32>> {
    let numbers: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    let mut numbers = numbers.filter(|numbers| numbers.len() <= 4)?;
    while numbers.len() > 2 && numbers.last() == Some(&0) {
        numbers.pop();
    }
    Some(numbers)
}
