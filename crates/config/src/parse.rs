//! Parses values of settings from the text of a variable, from TOML and from JSON.

use serde_json::Value as Json;
use toml_edit::{Item, Value as Toml};

use crate::setting::{Kind, Setting};
use crate::value::{Value, Wrong, quoted};
use crate::whole_number::whole;

impl Setting {
    /// Parses the value of an environment variable or a flag. List items are separated by commas.
    pub(crate) fn read_text(&self, text: &str) -> Result<Value, Wrong> {
        match &self.kind {
            Kind::Bool { .. } => text.parse().map(Value::Bool).map_err(|_| Wrong::unexpected()),
            Kind::Whole { .. } => text.parse().map(Value::Whole).map_err(|_| Wrong::unexpected()),
            Kind::Choice { .. } | Kind::Text { .. } => Ok(Value::text(text)),
            Kind::List { .. } | Kind::Numbers { .. } => {
                let entries = text.split(',').map(str::trim).filter(|t| !t.is_empty());
                Ok(Value::List(entries.map(str::to_owned).collect()))
            }
        }
        .map_err(|wrong: Wrong| wrong.found(quoted(text)))
    }

    /// Parses a value of a file.
    pub(crate) fn read_toml(&self, item: &Item) -> Result<Value, Wrong> {
        let value = match &self.kind {
            Kind::Bool { .. } => item.as_bool().map(Value::Bool),
            Kind::Whole { .. } => item.as_integer().and_then(|n| n.try_into().ok()).map(Value::Whole),
            Kind::Choice { .. } | Kind::Text { .. } => item.as_str().map(Value::text),
            Kind::List { .. } => item
                .as_array()
                .and_then(|list| list.iter().map(|v| v.as_str().map(str::to_owned)).collect())
                .map(Value::List),
            Kind::Numbers { .. } => item
                .as_array()
                .and_then(|list| list.iter().map(|v| v.as_integer().map(|n| n.to_string())).collect())
                .map(Value::List),
        };
        value.ok_or_else(|| self.wrong_kind(&wrong_toml(item)))
    }

    /// Parses a value of a request.
    pub(crate) fn read_json(&self, json: &Json) -> Result<Value, Wrong> {
        let value = match &self.kind {
            Kind::Bool { .. } => json.as_bool().map(Value::Bool),
            Kind::Whole { .. } => match json {
                Json::Number(number) => whole(number).and_then(|n| n.try_into().ok()).map(Value::Whole),
                _ => None,
            },
            Kind::Choice { .. } | Kind::Text { .. } => json.as_str().map(Value::text),
            Kind::List { .. } => json
                .as_array()
                .and_then(|list| list.iter().map(|v| v.as_str().map(str::to_owned)).collect())
                .map(Value::List),
            Kind::Numbers { .. } => {
                let text = |json: &Json| match json {
                    Json::Number(number) => whole(number).map(|n| n.to_string()),
                    _ => None,
                };
                let texts = json.as_array().and_then(|list| list.iter().map(text).collect());
                texts.map(Value::List)
            }
        };
        value.ok_or_else(|| self.wrong_kind(wrong_json(json)))
    }

    /// Error for a value of the wrong kind; reminds of the quotation marks of a string, which are often forgotten.
    fn wrong_kind(&self, found: &str) -> Wrong {
        let expected = self.expected();
        match &self.kind {
            Kind::Choice { of, .. } => {
                let quoted: Vec<_> = of.iter().map(|word| format!("{word:?}")).collect();
                Wrong::because(format!(
                    "expected one of the strings {}, not {found}",
                    quoted.join(", ")
                ))
            }
            Kind::Text { .. } => Wrong::because(format!("{expected}, as a string in quotation marks, not {found}")),
            Kind::List { .. } => Wrong::because(format!("{expected}, as strings in quotation marks, not {found}")),
            Kind::Bool { .. } | Kind::Whole { .. } | Kind::Numbers { .. } => {
                Wrong::because(format!("{expected}, not {found}"))
            }
        }
    }
}

fn wrong_toml(item: &Item) -> String {
    match item {
        Item::Value(Toml::Integer(number)) if *number.value() < 0 => "a negative number".to_owned(),
        Item::Value(Toml::Array(_)) => "this list".to_owned(),
        Item::ArrayOfTables(_) => "a list of tables".to_owned(),
        Item::Value(Toml::InlineTable(_)) | Item::Table(_) => "a table".to_owned(),
        Item::Value(Toml::Integer(_)) => "an integer".to_owned(),
        Item::Value(Toml::String(_)) => "a string".to_owned(),
        Item::Value(Toml::Boolean(_)) => "a boolean".to_owned(),
        Item::Value(Toml::Float(_)) => "a number with a decimal point".to_owned(),
        Item::Value(Toml::Datetime(_)) => "a date".to_owned(),
        Item::None => "nothing".to_owned(),
    }
}

fn wrong_json(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(number) if number.as_f64().is_some_and(|n| n < 0.0) => "a negative number",
        Json::Number(number) if number.is_f64() && whole(number).is_none() => "a number with a decimal point",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "this list",
        Json::Object(_) => "an object",
    }
}
