//! Values of the layers: of the kind of their setting, not validated further.

use sdk_relay_echo as echo;
use toml_edit::{Array, Value as Toml};
use zeroize::Zeroizing;

/// A value. It may be a secret: it is zeroised on drop, and has no `Debug`.
#[derive(Clone)]
pub(crate) enum Value {
    Bool(bool),
    Whole(u64),
    Text(Zeroizing<String>),
    List(Vec<String>),
}

/// Why a value is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The wrong part of the value, if not the whole value.
    pub(crate) found: Option<String>,
    /// The expectation, if it differs from that of the setting.
    pub(crate) expected: Option<String>,
}

impl Wrong {
    /// The value is not what the setting expects.
    pub(crate) fn unexpected() -> Self {
        Self::default()
    }

    pub(crate) fn because(expected: impl Into<String>) -> Self {
        Self {
            found: None,
            expected: Some(expected.into()),
        }
    }

    /// One entry of a list is wrong.
    pub(crate) fn entry(entry: &str) -> Self {
        Self {
            found: Some(quoted(entry)),
            expected: None,
        }
    }

    pub(crate) fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }
}

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(Zeroizing::new(text.to_owned()))
    }

    /// `false` for a value of another kind, which cannot occur: the kind is checked when the value is parsed. The other
    /// accessors have such a default too.
    pub(crate) fn as_bool(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    pub(crate) fn as_whole(&self) -> u64 {
        match self {
            Self::Whole(number) => *number,
            _ => 0,
        }
    }

    pub(crate) fn as_text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }

    pub(crate) fn as_list(&self) -> &[String] {
        match self {
            Self::List(list) => list,
            _ => &[],
        }
    }

    /// The value as written in a file. Not for secrets.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Whole(value) => value.to_string(),
            Self::Text(value) => quoted(value),
            Self::List(value) => shown(&format!("{value:?}")),
        }
    }

    /// For the file of changes.
    pub(crate) fn to_toml(&self) -> Toml {
        match self {
            Self::Bool(value) => (*value).into(),
            Self::Whole(value) => i64::try_from(*value).unwrap_or(i64::MAX).into(),
            Self::Text(value) => value.as_str().into(),
            Self::List(value) => value.iter().collect::<Array>().into(),
        }
    }
}

/// A text for an error, in quotation marks, and without a possible password.
pub(crate) fn quoted(text: &str) -> String {
    if text.contains('@') {
        return "…@…".to_owned();
    }
    echo::quoted(text)
}

/// A value for an error: one line, truncated, and without a possible password (`http://user:password@host`).
pub(crate) fn shown(value: &str) -> String {
    if value.contains('@') {
        return "…@…".to_owned();
    }
    // More than is shown: a list has a line for each of its entries.
    let words = value.split_whitespace().take(echo::MOST_CHARS + 1);
    echo::short(&words.collect::<Vec<_>>().join(" "))
}
