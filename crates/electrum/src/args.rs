//! Reads the parameters of a request, by position or by name. No error contains a value: it may be a key.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use sdk_relay_protocol::SecretHex;
use serde::Deserializer as _;
use serde::de::{Error, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::RpcError;
use crate::request::{Params, list};

/// The parameters of a method with these names.
pub(crate) struct Args<'a> {
    values: Vec<Option<&'a RawValue>>,
    names: &'static [&'static str],
}

/// The values of an object that has only these names.
struct Named(&'static [&'static str]);

impl<'de> Visitor<'de> for Named {
    type Value = Vec<Option<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with names of parameters")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut values = vec![None; self.0.len()];
        while let Some(name) = object.next_key::<Cow<'de, str>>()? {
            let at = self.0.iter().position(|known| *known == name);
            let value = at.and_then(|at| values.get_mut(at));
            *value.ok_or_else(|| A::Error::custom("another name"))? = Some(object.next_value()?);
        }
        Ok(values)
    }
}

impl<'a> Args<'a> {
    /// Refuses parameters that the method does not have.
    pub(crate) fn new(params: &'a Params, names: &'static [&'static str]) -> Result<Self, RpcError> {
        let text = params.get();
        let values = if text.is_empty() {
            Vec::new()
        } else if text.starts_with('{') {
            let named = serde_json::Deserializer::from_str(text).deserialize_map(Named(names));
            named.map_err(|_| RpcError::parameter(format!("params: expected only the names {}", names.join(", "))))?
        } else {
            let values = list(text, names.len()).ok_or_else(|| {
                let message = format!("params: expected at most {}: {}", names.len(), names.join(", "));
                RpcError::parameter(message)
            })?;
            values.into_iter().map(Some).collect()
        };
        Ok(Self { values, names })
    }

    /// The value at this position; `None` if it is absent or `null`.
    pub(crate) fn get(&self, at: usize) -> Option<&'a str> {
        let value = self.values.get(at).copied().flatten().map(RawValue::get);
        value.filter(|text| *text != "null")
    }

    /// A number, a text, `true` or `false`; `null` if it is absent. `None`: it is a list or an object.
    pub(crate) fn scalar(&self, at: usize) -> Option<Value> {
        match self.get(at) {
            None => Some(Value::Null),
            Some(text) if text.starts_with(['[', '{']) => None,
            Some(text) => serde_json::from_str(text).ok(),
        }
    }

    /// An error about the parameter at this position.
    pub(crate) fn wrong(&self, at: usize, expected: &str) -> RpcError {
        let name = self.names.get(at).copied().unwrap_or("params");
        RpcError::parameter(format!("{name}: {expected}"))
    }

    pub(crate) fn text(&self, at: usize, expected: &str) -> Result<String, RpcError> {
        match self.scalar(at) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(self.wrong(at, expected)),
        }
    }

    /// A text that is wiped when it is dropped. Refused with escapes, whose reading leaves copies.
    pub(crate) fn secret(&self, at: usize, expected: &str) -> Result<SecretHex, RpcError> {
        let text = self.get(at).and_then(|text| text.strip_prefix('"')?.strip_suffix('"'));
        let text = text.filter(|text| !text.contains('\\'));
        let text = text.ok_or_else(|| self.wrong(at, expected))?;
        Ok(SecretHex::new(text.to_owned()))
    }

    /// Parses a text.
    pub(crate) fn parsed<T: FromStr>(&self, at: usize, expected: &str) -> Result<T, RpcError> {
        let text = self.text(at, expected)?;
        text.parse().map_err(|_| self.wrong(at, expected))
    }

    /// A whole number; `None` if it is absent.
    pub(crate) fn number(&self, at: usize) -> Result<Option<u32>, RpcError> {
        let number = self.get(at).map(serde_json::from_str).transpose();
        number.map_err(|_| self.wrong(at, "expected a whole number"))
    }

    /// A whole number that must be there.
    pub(crate) fn required(&self, at: usize) -> Result<u32, RpcError> {
        self.number(at)?
            .ok_or_else(|| self.wrong(at, "expected a whole number"))
    }

    /// A flag; false if it is absent.
    pub(crate) fn flag(&self, at: usize) -> Result<bool, RpcError> {
        match self.get(at) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            // Some clients send 0 and 1.
            Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(_) => Err(self.wrong(at, "expected true or false")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::request::{Line, parse};

    const NAMES: &[&str] = &["height", "key"];

    fn params(values: &Value) -> Params {
        let line = json!({"method": "m", "params": values}).to_string();
        match parse(line.as_bytes()) {
            Ok(Line::One(call)) => call.params,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_forms_give_the_same() {
        for values in [json!([5, "k"]), json!({"key": "k", "height": 5})] {
            let params = params(&values);
            let args = Args::new(&params, NAMES).unwrap();
            assert_eq!(
                (args.required(0).unwrap(), args.text(1, "").unwrap()),
                (5, "k".to_owned())
            );
            assert_eq!(args.secret(1, "").unwrap().expose(), "k");
        }
        for values in [json!([]), json!(null), json!([null])] {
            let params = params(&values);
            assert_eq!(Args::new(&params, NAMES).unwrap().number(0).unwrap(), None);
        }
    }

    #[test]
    fn errors_name_the_parameter_and_not_its_value() {
        for (values, name) in [
            (json!(["5ec2e7"]), "height"),
            (json!([-1]), "height"),
            (json!([5_000_000_000u64]), "height"),
            (json!([]), "height"),
            (json!([[1]]), "height"),
            (json!([1.5]), "height"),
        ] {
            let params = params(&values);
            let error = Args::new(&params, NAMES).unwrap().required(0).unwrap_err();
            assert!(error.code == -32_602 && error.message.starts_with(name), "{error:?}");
            assert!(!error.message.contains("5ec2e7"));
        }
        for values in [json!([1, 2, 3]), json!({"5ec2e7": 1})] {
            let params = params(&values);
            let error = Args::new(&params, NAMES).err().unwrap();
            assert!(
                error.message.contains("height, key") && !error.message.contains("5ec2e7"),
                "{error:?}"
            );
        }
    }
}
