//! Type of a row of the table of settings.

use serde_json::Value as Json;

use crate::config::Config;
use crate::value::{Value, Wrong};

/// Prefix of the environment variables; `__` separates levels.
pub(crate) const ENV_PREFIX: &str = "SDK_RELAY_";

/// A setting: its key, its values, where it can be set, and its documentation.
#[derive(Debug)]
pub struct Setting {
    /// With a dot between table and name: `sync.interval`.
    pub key: &'static str,
    /// Its values and its default.
    pub kind: Kind,
    /// Unit of a number; empty for one without.
    pub unit: &'static str,
    /// Whether its value is never shown.
    pub is_secret: bool,
    /// Its flag on the command line.
    pub flag: Option<&'static str>,
    /// What the help of the flag calls its value: `DIR`. Empty for a flag without one.
    pub flag_value: &'static str,
    /// How `PUT /config` changes it; `None`: it can be set at a start only.
    pub change: Option<Change>,
    /// Lines of its documentation, in Markdown: paragraphs, and fenced code.
    about: &'static [&'static str],
    check: fn(&Value) -> Result<(), Wrong>,
}

/// Values of a setting, and its default.
#[derive(Debug)]
pub enum Kind {
    /// `true` or `false`.
    Bool {
        /// Default value.
        default: bool,
    },
    /// A whole number.
    Whole {
        /// Default value.
        default: u64,
        /// Smallest value.
        least: u64,
        /// Largest value.
        most: u64,
    },
    /// One of several words.
    Choice {
        /// Default value.
        default: &'static str,
        /// All values.
        of: &'static [&'static str],
    },
    /// A text. An empty text means no value, unless the default is another one.
    Text {
        /// Default value.
        default: &'static str,
        /// The expected text: "an address to listen on".
        expects: &'static str,
    },
    /// A list of texts; empty by default.
    List {
        /// The expected texts: "DNS names".
        expects: &'static str,
    },
    /// A list of whole numbers; empty by default. Its values are their texts.
    Numbers {
        /// The expected numbers: "heights".
        expects: &'static str,
    },
}

/// How `PUT /config` changes a setting.
#[derive(Debug)]
pub struct Change {
    /// When a change takes effect.
    pub effect: Effect,
    /// The value as `GET /config` shows it.
    pub shown: fn(&Config) -> Json,
    /// For a text: a regular expression for the API description, and an example.
    pub pattern: Option<(&'static str, &'static str)>,
}

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Immediately.
    AtOnce,
    /// After `POST /restart`.
    AtRestart,
}

/// A setting whose value is parsed into a `T`.
#[derive(Debug)]
pub(crate) struct Key<T> {
    pub(crate) setting: Setting,
    read: fn(&Value) -> Result<T, Wrong>,
}

impl<T> Key<T> {
    pub(crate) const fn new(key: &'static str, kind: Kind, read: fn(&Value) -> Result<T, Wrong>) -> Self {
        let setting = Setting {
            key,
            kind,
            unit: "",
            is_secret: false,
            flag: None,
            flag_value: "",
            change: None,
            about: &[],
            check: |_| Ok(()),
        };
        Self { setting, read }
    }

    pub(crate) const fn unit(mut self, unit: &'static str) -> Self {
        self.setting.unit = unit;
        self
    }

    pub(crate) const fn secret(mut self) -> Self {
        self.setting.is_secret = true;
        self
    }

    pub(crate) const fn flag(mut self, flag: &'static str) -> Self {
        self.setting.flag = Some(flag);
        self
    }

    /// The same for a flag with a value.
    pub(crate) const fn flag_with(self, flag: &'static str, value: &'static str) -> Self {
        let mut key = self.flag(flag);
        key.setting.flag_value = value;
        key
    }

    /// Makes it changeable over `PUT /config`.
    pub(crate) const fn changes(mut self, effect: Effect, shown: fn(&Config) -> Json) -> Self {
        self.setting.change = Some(Change {
            effect,
            shown,
            pattern: None,
        });
        self
    }

    /// The same for a text, with a pattern and an example for the API description.
    pub(crate) const fn changes_text(
        mut self,
        effect: Effect,
        shown: fn(&Config) -> Json,
        pattern: &'static str,
        example: &'static str,
    ) -> Self {
        self.setting.change = Some(Change {
            effect,
            shown,
            pattern: Some((pattern, example)),
        });
        self
    }

    /// Called by the macro of the table: adds the documentation, and a type-erased [`Self::read`].
    pub(crate) const fn row(mut self, about: &'static [&'static str], check: fn(&Value) -> Result<(), Wrong>) -> Self {
        self.setting.about = about;
        self.setting.check = check;
        self
    }

    /// Parses a value, which is of the kind of the setting.
    pub(crate) fn read(&self, value: &Value) -> Result<T, Wrong> {
        self.setting.kind.allows(value)?;
        (self.read)(value)
    }
}

impl Setting {
    /// Its table; empty for a key without one.
    pub fn group(&self) -> &'static str {
        self.key.split_once('.').map_or("", |(group, _)| group)
    }

    /// Its name within the table.
    pub fn name(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, name)| name)
    }

    /// Lines of its documentation.
    pub(crate) fn about(&self) -> impl Iterator<Item = &'static str> {
        // Each line of a doc comment starts with a space.
        self.about.iter().map(|line| line.strip_prefix(' ').unwrap_or(line))
    }

    /// Its documentation without the fenced code, in one line.
    pub fn description(&self) -> String {
        let prose: Vec<_> = self.about().take_while(|line| !line.starts_with("```")).collect();
        prose.join(" ").trim().to_owned()
    }

    /// The first sentence of its documentation, without its full stop: the help text of its flag.
    pub fn summary(&self) -> String {
        let text = self.description();
        let end = text.find(". ").unwrap_or(text.trim_end_matches('.').len());
        text[..end].to_owned()
    }

    /// What an empty text stands for, as its documentation says it: "Empty: `~/.sdk_relay`."
    pub fn without_value(&self) -> Option<String> {
        let text = self.description();
        let (_, rest) = text.split_once("Empty: `")?;
        rest.split_once('`').map(|(value, _)| value.to_owned())
    }

    /// Its environment variable.
    pub fn variable(&self) -> String {
        format!("{ENV_PREFIX}{}", self.key.replace('.', "__").to_uppercase())
    }

    /// Checks a value of its kind on its own, independently of other settings.
    pub(crate) fn check(&self, value: &Value) -> Result<(), Wrong> {
        (self.check)(value)
    }

    /// The expected value, for an error.
    pub(crate) fn expected(&self) -> String {
        match self.unit {
            "" => format!("expected {}", self.kind.values()),
            unit => format!("expected {} ({unit})", self.kind.values()),
        }
    }
}

impl Kind {
    /// Its values in words: "a whole number from 1 to 48".
    pub fn values(&self) -> String {
        match self {
            Self::Bool { .. } => "true or false".to_owned(),
            Self::Whole { least, most, .. } if *most == u64::MAX => format!("a whole number, {least} or more"),
            Self::Whole { least, most, .. } => format!("a whole number from {least} to {most}"),
            Self::Choice { of, .. } => words(of),
            Self::Text { expects, .. } => (*expects).to_owned(),
            Self::List { expects } | Self::Numbers { expects } => format!("a list of {expects}"),
        }
    }

    /// The default value.
    pub(crate) fn default(&self) -> Value {
        match self {
            Self::Bool { default } => Value::Bool(*default),
            Self::Whole { default, .. } => Value::Whole(*default),
            Self::Choice { default, .. } | Self::Text { default, .. } => Value::text(default),
            Self::List { .. } | Self::Numbers { .. } => Value::List(Vec::new()),
        }
    }

    fn allows(&self, value: &Value) -> Result<(), Wrong> {
        let fits = match self {
            Self::Whole { least, most, .. } => (*least..=*most).contains(&value.as_whole()),
            Self::Choice { of, .. } => of.contains(&value.as_text()),
            _ => true,
        };
        fits.then_some(()).ok_or(Wrong::unexpected())
    }
}

/// "text or json", "yes, no or auto".
fn words(of: &[&str]) -> String {
    match of {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// `true` or `false`.
pub(crate) const fn flag(key: &'static str, default: bool) -> Key<bool> {
    Key::new(key, Kind::Bool { default }, |value| Ok(value.as_bool()))
}

/// A whole number, parsed by `read`.
pub(crate) const fn whole<T>(
    key: &'static str,
    default: u64,
    least: u64,
    most: u64,
    read: fn(&Value) -> Result<T, Wrong>,
) -> Key<T> {
    Key::new(key, Kind::Whole { default, least, most }, read)
}

/// One of several words.
pub(crate) const fn choice<T>(
    key: &'static str,
    default: &'static str,
    of: &'static [&'static str],
    read: fn(&Value) -> Result<T, Wrong>,
) -> Key<T> {
    Key::new(key, Kind::Choice { default, of }, read)
}

/// A text.
pub(crate) const fn text<T>(
    key: &'static str,
    default: &'static str,
    expects: &'static str,
    read: fn(&Value) -> Result<T, Wrong>,
) -> Key<T> {
    Key::new(key, Kind::Text { default, expects }, read)
}

/// A list of texts.
pub(crate) const fn list<T>(key: &'static str, expects: &'static str, read: fn(&Value) -> Result<T, Wrong>) -> Key<T> {
    Key::new(key, Kind::List { expects }, read)
}

/// A list of whole numbers.
pub(crate) const fn numbers<T>(
    key: &'static str,
    expects: &'static str,
    read: fn(&Value) -> Result<T, Wrong>,
) -> Key<T> {
    Key::new(key, Kind::Numbers { expects }, read)
}
