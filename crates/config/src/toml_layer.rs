//! A TOML text as a layer: the file of the operator, and the changes of `PUT /config`.

use std::ops::Range;

use sdk_relay_echo::parser_reason;
use toml_edit::{ImDocument, Item, TableLike};

use crate::error::ConfigError;
use crate::names;
use crate::settings::GROUPS;
use crate::value::shown;
use crate::values::Values;

/// A TOML text, and the name of its file for errors.
pub(crate) struct TomlLayer<'a> {
    name: &'a str,
    text: &'a str,
}

/// Merges the values of the text over the lower layers, and returns the errors of its keys. Errors have the line; they
/// never quote the text, which may hold a secret.
pub(crate) fn merge(values: &mut Values, name: &str, text: &str) -> Vec<ConfigError> {
    let layer = TomlLayer { name, text };
    let mut wrong = Vec::new();
    match ImDocument::parse(text) {
        Ok(document) => layer.table(values, "", document.as_table(), &mut wrong),
        Err(error) => wrong.push(ConfigError::Syntax {
            origin: layer.at(error.span()),
            reason: layer.reason(&error),
        }),
    }
    wrong
}

impl TomlLayer<'_> {
    /// `FILE:LINE`.
    fn at(&self, span: Option<Range<usize>>) -> String {
        let before = span.and_then(|span| self.text.get(..span.start));
        before.map_or_else(
            || self.name.to_owned(),
            |text| format!("{}:{}", self.name, text.matches('\n').count() + 1),
        )
    }

    /// The message of the parser, and what to do in the usual cases.
    fn reason(&self, error: &toml_edit::TomlError) -> String {
        let message = error.message().lines().collect::<Vec<_>>().join(": ");
        let at = error.span().map_or(0, |span| span.start);
        let todo = if message.contains("duplicate key") {
            "; each table and each setting may be there once: put its lines together"
        } else if self.line_at(at).is_some_and(lacks_quotes) {
            "; put the value in quotes: NAME = \"VALUE\""
        } else {
            ""
        };
        format!("{}{todo}", parser_reason(&message))
    }

    fn line_at(&self, at: usize) -> Option<&str> {
        let begin = self.text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
        self.text.get(begin..)?.lines().next()
    }

    fn table(&self, values: &mut Values, prefix: &str, table: &dyn TableLike, wrong: &mut Vec<ConfigError>) {
        for (name, item) in table.iter() {
            let written = table.get_key_value(name).and_then(|(key, _)| key.span());
            let origin = self.at(written.or_else(|| item.span()));
            let key = format!("{prefix}{name}");
            // A quoted "sync.interval" is one name, not a key.
            let setting = names::setting(&key).filter(|_| !name.contains('.'));
            let is_group = prefix.is_empty() && GROUPS.iter().any(|(group, _)| *group == name);
            if prefix.is_empty() && name == names::WEBHOOKS {
                self.webhooks(values, item, &origin, wrong);
                continue;
            }
            match (setting, item.as_table_like()) {
                (Some(setting), _) => {
                    let value = setting.read_toml(item).map_err(|wrong| wrong.found(self.quote(item)));
                    values.set(setting, value, origin);
                }
                (None, Some(inner)) if is_group => self.table(values, &format!("{key}."), inner, wrong),
                (None, None) if is_group => {
                    wrong.push(ConfigError::Value {
                        origin,
                        // It may be a misplaced secret.
                        found: "…".to_owned(),
                        expected: format!("expected a table: [{key}], and its settings in the lines below"),
                        key,
                    });
                }
                (None, _) => {
                    wrong.push(ConfigError::Syntax {
                        origin,
                        reason: names::unknown(&key),
                    });
                }
            }
        }
    }

    /// The tables `[webhooks.NAME]`.
    fn webhooks(&self, values: &mut Values, all: &Item, origin: &str, wrong: &mut Vec<ConfigError>) {
        let no_table = |origin: String, key: String| ConfigError::Value {
            origin,
            // It may be a misplaced secret.
            found: "…".to_owned(),
            expected: "expected a table for each webhook: [webhooks.NAME], and its settings in the lines below"
                .to_owned(),
            key,
        };
        let Some(tables) = all.as_table_like() else {
            wrong.push(no_table(origin.to_owned(), names::WEBHOOKS.to_owned()));
            return;
        };
        for (name, item) in tables.iter() {
            let written = tables.get_key_value(name).and_then(|(key, _)| key.span());
            let origin = self.at(written.or_else(|| item.span()));
            if !names::is_webhook_name(name) {
                let reason = names::wrong_webhook_name(name);
                wrong.push(ConfigError::Syntax { origin, reason });
                continue;
            }
            let Some(table) = item.as_table_like() else {
                wrong.push(no_table(origin, format!("{}.{name}", names::WEBHOOKS)));
                continue;
            };
            let webhook = values.webhook(name);
            for (key, item) in table.iter() {
                let written = table.get_key_value(key).and_then(|(key, _)| key.span());
                let origin = self.at(written.or_else(|| item.span()));
                match names::webhook_setting(key) {
                    Some(setting) => {
                        let value = setting.read_toml(item).map_err(|wrong| wrong.found(self.quote(item)));
                        webhook.set(setting, value, origin);
                    }
                    None => wrong.push(ConfigError::Syntax {
                        origin,
                        reason: names::unknown_of_webhook(name, key),
                    }),
                }
            }
        }
    }

    /// The value as written, without the contents of a table, and without a secret.
    fn quote(&self, item: &Item) -> String {
        let holds_table =
            |list: &toml_edit::Array| list.iter().any(|value| value.is_inline_table() || value.is_array());
        let is_plain = item.is_value() && !item.is_inline_table() && !item.as_array().is_some_and(holds_table);
        let text = item.span().filter(|_| is_plain).and_then(|span| self.text.get(span));
        shown(text.unwrap_or("…"))
    }
}

/// Whether a line sets a text without quotes: `network = regtest`.
fn lacks_quotes(line: &str) -> bool {
    let Some((_, value)) = line.split_once('=') else {
        return false;
    };
    // A number or a boolean, such as 8090, and what begins like one is a text too: 127.0.0.1:8090.
    let value = value.split('#').next().unwrap_or_default().trim();
    let is_other = value.is_empty() || value.starts_with(['"', '\'', '[', '{']);
    !is_other && value.parse::<bool>().is_err() && value.parse::<f64>().is_err()
}
