//! Names of settings, and suggestions for unknown names.

use sdk_relay_echo::short;

use crate::setting::Setting;
use crate::settings::{GROUPS, TABLE, WEBHOOK_TABLE};

/// The group of the tables of webhooks.
pub(crate) const WEBHOOKS: &str = "webhooks";
/// Longest name of a webhook.
const MAX_WEBHOOK_NAME: usize = 32;

/// Largest edit distance of a suggestion.
const SUGGEST_WITHIN: usize = 3;

/// The setting with this key.
pub fn setting(key: &str) -> Option<&'static Setting> {
    TABLE.iter().copied().find(|setting| setting.key == key)
}

/// The setting of a webhook with this name within its table.
pub(crate) fn webhook_setting(name: &str) -> Option<&'static Setting> {
    let mut all = WEBHOOK_TABLE.iter().copied();
    all.find(|setting| last_part(setting.key) == name)
}

/// The name of a webhook and its setting: of `webhooks.shop.url`, `shop` and that of `url`.
pub(crate) fn webhook_key(key: &str) -> Option<(&str, &'static Setting)> {
    let (name, setting) = key.strip_prefix(WEBHOOKS)?.strip_prefix('.')?.split_once('.')?;
    is_webhook_name(name).then_some((name, webhook_setting(setting)?))
}

/// Whether a webhook can have this name: it stands in paths, variables and metrics.
pub(crate) fn is_webhook_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.len() <= MAX_WEBHOOK_NAME && name.bytes().all(fits)
}

/// Error text for a name that no webhook can have.
pub(crate) fn wrong_webhook_name(name: &str) -> String {
    format!(
        "{WEBHOOKS}.{}: expected a name of at most {MAX_WEBHOOK_NAME} lower-case letters, digits, - and _: [{WEBHOOKS}.shop]",
        short(name)
    )
}

/// Error text for an unknown key in the table of a webhook.
pub(crate) fn unknown_of_webhook(name: &str, key: &str) -> String {
    let known: Vec<_> = WEBHOOK_TABLE.iter().map(|setting| last_part(setting.key)).collect();
    let key = short(&format!("{WEBHOOKS}.{name}.{key}"));
    format!("unknown key {key}; expected one of {}", known.join(", "))
}

fn last_part(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// The setting whose key is closest to this one, if one is close.
pub(crate) fn nearest(key: &str) -> Option<&'static Setting> {
    // Short names are similar by chance: at most a third of the letters may differ.
    let within = SUGGEST_WITHIN.min(key.len() / 3);
    let distances = TABLE.iter().map(|s| (strsim::damerau_levenshtein(key, s.key), *s));
    let close = distances.filter(|(distance, _)| *distance <= within);
    close.min_by_key(|(distance, s)| (*distance, s.key)).map(|(_, s)| s)
}

/// Error text for an unknown key of a file, with a suggestion.
pub(crate) fn unknown(key: &str) -> String {
    let name = short(key);
    // The right name in the wrong table: a line below `[sync]` belongs to `sync`.
    let last = last_part(key);
    let group = GROUPS.iter().find(|(group, _)| is_start_of(key, group));
    let mut elsewhere = TABLE.iter().filter(|s| s.name() == last);
    let meant = match (nearest(key), elsewhere.next(), elsewhere.next()) {
        (Some(nearest), _, _) => Some(nearest),
        (None, Some(only), None) => Some(*only),
        _ => None,
    };
    match meant {
        Some(meant) if meant.group().is_empty() && key.contains('.') => {
            format!(
                "unknown key {name}; did you mean {}, which must be above the first [table]?",
                meant.key
            )
        }
        Some(meant) => format!("unknown key {name}; did you mean {}?", meant.key),
        None => {
            if let Some((group, _)) = group {
                return format!("unknown key {name}; did you mean the table [{group}]?");
            }
            let group = key.split_once('.').map_or("", |(group, _)| group);
            let mut keys: Vec<_> = TABLE.iter().filter(|s| s.group() == group).map(|s| s.name()).collect();
            if keys.is_empty() || group.is_empty() {
                keys.extend(GROUPS.iter().map(|(group, _)| *group).chain([WEBHOOKS]));
            }
            format!("unknown key {name}; expected one of {}", keys.join(", "))
        }
    }
}

/// Whether a name is the first word of a group: `bitcoin` of `bitcoin_core`.
fn is_start_of(key: &str, group: &str) -> bool {
    group.strip_prefix(key).is_some_and(|rest| rest.starts_with('_'))
}
