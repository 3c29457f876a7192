//! Reads the parameters of a request, by position or by name. No error contains a value: it may be a key.

use std::str::FromStr;

use sdk_relay_protocol::SecretHex;
use serde_json::Value;

use crate::error::RpcError;
use crate::request::Params;

/// The parameters of a method with these names.
pub(crate) struct Args {
    values: Vec<Value>,
    names: &'static [&'static str],
}

impl Args {
    /// Refuses parameters that the method does not have.
    pub(crate) fn new(params: Params, names: &'static [&'static str]) -> Result<Self, RpcError> {
        let values = match params {
            Params::Positional(values) if values.len() > names.len() => {
                let message = format!("params: expected at most {}: {}", names.len(), names.join(", "));
                return Err(RpcError::parameter(message));
            }
            Params::Positional(values) => values,
            Params::Named(mut named) => {
                let values = names
                    .iter()
                    .map(|name| named.remove(*name).unwrap_or(Value::Null))
                    .collect();
                if !named.is_empty() {
                    let message = format!("params: expected only the names {}", names.join(", "));
                    return Err(RpcError::parameter(message));
                }
                values
            }
        };
        Ok(Self { values, names })
    }

    /// The value at this position; `null` if it is absent.
    pub(crate) fn take(&mut self, at: usize) -> Value {
        self.values.get_mut(at).map(Value::take).unwrap_or_default()
    }

    /// An error about the parameter at this position.
    pub(crate) fn wrong(&self, at: usize, expected: &str) -> RpcError {
        let name = self.names.get(at).copied().unwrap_or("params");
        RpcError::parameter(format!("{name}: {expected}"))
    }

    pub(crate) fn text(&mut self, at: usize, expected: &str) -> Result<String, RpcError> {
        match self.take(at) {
            Value::String(text) => Ok(text),
            _ => Err(self.wrong(at, expected)),
        }
    }

    /// A text that is wiped when it is dropped.
    pub(crate) fn secret(&mut self, at: usize, expected: &str) -> Result<SecretHex, RpcError> {
        self.text(at, expected).map(SecretHex::new)
    }

    /// Parses a text.
    pub(crate) fn parsed<T: FromStr>(&mut self, at: usize, expected: &str) -> Result<T, RpcError> {
        let text = self.text(at, expected)?;
        text.parse().map_err(|_| self.wrong(at, expected))
    }

    /// A whole number; `None` if it is absent.
    pub(crate) fn number(&mut self, at: usize) -> Result<Option<u32>, RpcError> {
        match self.take(at) {
            Value::Null => Ok(None),
            value => value
                .as_u64()
                .and_then(|number| u32::try_from(number).ok())
                .map(Some)
                .ok_or_else(|| self.wrong(at, "expected a whole number")),
        }
    }

    /// A whole number that must be there.
    pub(crate) fn required(&mut self, at: usize) -> Result<u32, RpcError> {
        self.number(at)?
            .ok_or_else(|| self.wrong(at, "expected a whole number"))
    }

    /// A flag; false if it is absent.
    pub(crate) fn flag(&mut self, at: usize) -> Result<bool, RpcError> {
        match self.take(at) {
            Value::Null => Ok(false),
            Value::Bool(flag) => Ok(flag),
            // Some clients send 0 and 1.
            Value::Number(number) if number.as_u64().is_some_and(|n| n <= 1) => Ok(number.as_u64() == Some(1)),
            _ => Err(self.wrong(at, "expected true or false")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NAMES: &[&str] = &["height", "key"];

    fn args(params: Value) -> Result<Args, RpcError> {
        let params = match params {
            Value::Object(named) => Params::Named(named),
            Value::Array(values) => Params::Positional(values),
            other => panic!("{other}"),
        };
        Args::new(params, NAMES)
    }

    #[test]
    fn both_forms_give_the_same() {
        for params in [json!([5, "k"]), json!({"key": "k", "height": 5})] {
            let mut args = args(params).unwrap();
            assert_eq!(
                (args.required(0).unwrap(), args.text(1, "").unwrap()),
                (5, "k".to_owned())
            );
        }
        assert_eq!(args(json!([])).unwrap().number(0).unwrap(), None);
    }

    #[test]
    fn errors_name_the_parameter_and_not_its_value() {
        for (params, name) in [
            (json!(["5ec2e7"]), "height"),
            (json!([-1]), "height"),
            (json!([5_000_000_000u64]), "height"),
            (json!([]), "height"),
        ] {
            let error = args(params).unwrap().required(0).unwrap_err();
            assert!(error.code == -32_602 && error.message.starts_with(name), "{error:?}");
            assert!(!error.message.contains("5ec2e7"));
        }
        for params in [json!([1, 2, 3]), json!({"5ec2e7": 1})] {
            let error = args(params).err().unwrap();
            assert!(
                error.message.contains("height, key") && !error.message.contains("5ec2e7"),
                "{error:?}"
            );
        }
    }
}
