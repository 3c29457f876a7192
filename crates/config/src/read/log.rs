//! The filter of the log.

use std::str::FromStr;

use sdk_relay_echo::quoted;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::value::{Value, Wrong};

/// Crates that log, as `log.level` names them. A test compares them with the folder of crates.
const CRATES: &[&str] = &[
    "sdk_relay",
    "sdk_relay_backfill",
    "sdk_relay_bip352",
    "sdk_relay_blindbit",
    "sdk_relay_blindbit_proto",
    "sdk_relay_chain",
    "sdk_relay_cli",
    "sdk_relay_client",
    "sdk_relay_config",
    "sdk_relay_console",
    "sdk_relay_dashboard",
    "sdk_relay_descriptor",
    "sdk_relay_detect",
    "sdk_relay_devchain",
    "sdk_relay_echo",
    "sdk_relay_electrum",
    "sdk_relay_events",
    "sdk_relay_files",
    "sdk_relay_http",
    "sdk_relay_http_common",
    "sdk_relay_index",
    "sdk_relay_mesh",
    "sdk_relay_mesh_net",
    "sdk_relay_mesh_sim",
    "sdk_relay_mesh_table",
    "sdk_relay_outbound",
    "sdk_relay_platform",
    "sdk_relay_protocol",
    "sdk_relay_push",
    "sdk_relay_scan",
    "sdk_relay_scheduler",
    "sdk_relay_service",
    "sdk_relay_store",
    "sdk_relay_supervisor",
    "sdk_relay_telemetry",
    "sdk_relay_transport",
    "sdk_relay_webhooks",
    "sdk_relay_ws",
];

/// Libraries of the relay that log.
const LIBRARIES: &[&str] = &["hyper_util", "zeromq"];
/// Levels, as `log.level` names them.
const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
/// Largest edit distance of a suggested level, from "warning" to "warn". At most half of the letters may differ.
const SUGGEST_WITHIN: usize = 3;

/// The filter of the log.
pub(crate) fn level(value: &Value) -> Result<String, Wrong> {
    let text = value.as_text();
    // The library takes a misspelt level for a module name: nothing else would be logged.
    if let Some(wrong) = text.split(',').find_map(wrong_level) {
        return Err(unknown_level(wrong));
    }
    // Without a directive the library logs errors only.
    if text.split(',').all(|directive| directive.trim().is_empty()) {
        return Err(unknown_level(""));
    }
    EnvFilter::from_str(text).map_err(|_| Wrong::unexpected())?;
    Ok(text.to_owned())
}

/// The part of a directive that should be a level and is none.
fn wrong_level(directive: &str) -> Option<&str> {
    let directive = directive.trim();
    let level = match directive.rsplit_once('=') {
        // The fields of a span may contain `=`.
        Some((_, level)) if !level.contains(']') => level,
        _ if directive.contains('[') => return None,
        Some((_, level)) => level,
        None => directive,
    };
    LevelFilter::from_str(level).is_err().then_some(level)
}

fn unknown_level(word: &str) -> Wrong {
    let distance = |level: &&&str| strsim::damerau_levenshtein(&word.to_lowercase(), level);
    let within = SUGGEST_WITHIN.min(word.len() / 2);
    let nearest = LEVELS
        .iter()
        .min_by_key(distance)
        .filter(|level| distance(level) <= within);
    let hint = nearest.map_or_else(String::new, |level| format!("; did you mean {level}?"));
    Wrong::because(format!(
        "expected {}, or directives such as info,sdk_relay=debug{hint}",
        LEVELS.join(", ")
    ))
}

/// A warning for each target of the filter that no log line has. Not an error: crate names change between versions, and
/// a start must not fail for that.
pub(crate) fn unknown_targets(filter: &str) -> Vec<String> {
    let targets = filter.split(',').filter_map(|directive| {
        let directive = directive.trim();
        let target = directive.split(['=', '[']).next()?;
        // A level, or fields of a span of any target.
        (target != directive && !target.is_empty()).then_some(target)
    });
    let unknown = targets.filter(|target| {
        // A directive applies to all targets that begin with it.
        let module_of = |name: &&str| target.strip_prefix(*name).is_some_and(|rest| rest.starts_with("::"));
        let mut known = CRATES.iter().chain(LIBRARIES).copied();
        !known.any(|name| name.starts_with(target) || module_of(&name))
    });
    let sentence = |target: &str| {
        // Directory names contain dashes, and no prefix; targets contain underscores.
        let crate_name = target.split("::").next().unwrap_or(target).replace('-', "_");
        let distance = |name: &&&str| {
            let short = name.strip_prefix("sdk_relay_").unwrap_or(name);
            strsim::damerau_levenshtein(name, &crate_name).min(strsim::damerau_levenshtein(short, &crate_name))
        };
        let nearest = CRATES.iter().min_by_key(distance).unwrap_or(&CRATES[0]);
        format!(
            "no log line has the target {}; did you mean {nearest}? All: {}",
            quoted(target),
            CRATES.join(", ")
        )
    };
    unknown.map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_no_crate_has_is_named_with_the_nearest() {
        for (filter, nearest) in [
            ("sdk_relay_wss=debug", "sdk_relay_ws?"),
            ("info, sdk_relay_wss=debug", "sdk_relay_ws?"),
            ("info,sdk-relay-http=debug", "sdk_relay_http?"),
            ("info,sdk_relay_htp::front[request]=trace", "sdk_relay_http?"),
            ("sdk_relays=debug", "sdk_relay?"),
            // Without the prefix.
            ("info,ws=debug", "sdk_relay_ws?"),
            ("mesh-net::sync=debug", "sdk_relay_mesh_net?"),
            ("detekt=debug,info", "sdk_relay_detect?"),
            ("tokio=trace", "no log line has the target \"tokio\""),
        ] {
            let warnings = unknown_targets(filter);
            assert!(
                warnings.len() == 1 && warnings[0].contains(nearest),
                "{filter}: {warnings:?}"
            );
        }
        for filter in [
            "",
            "info",
            "info,sdk_relay=debug",
            "sdk_relay_ws::connection[c{id=1}]=trace",
            "hyper=debug,zeromq=trace,hyper_util::client=info",
            "[{client=x}]=trace",
            "info,sdk_relay_mesh_net=off",
        ] {
            assert!(unknown_targets(filter).is_empty(), "{filter}");
        }
    }

    #[test]
    fn a_wrong_level_is_refused_with_the_nearest() {
        let refused = |text: &str| level(&Value::text(text)).unwrap_err().expected.unwrap();
        for (text, hint) in [
            ("warning", "; did you mean warn?"),
            ("INFORMATION", ""),
            ("degub", "; did you mean debug?"),
            ("info,sdk_relay=wran", "; did you mean warn?"),
            ("info,sdk_relay", ""),
            ("sdk_relay_ws[c{id=1}]=loud", ""),
            ("", ""),
            (" ,\n", ""),
        ] {
            let expected = refused(text);
            assert!(
                expected.starts_with("expected off, error, warn, info, debug, trace, or directives")
                    && expected.ends_with(&format!("sdk_relay=debug{hint}")),
                "{text}: {expected}"
            );
        }
        for text in [
            "warn",
            "WARN",
            "off",
            "info,sdk_relay=debug",
            "sdk_relay_ws[c{id=1}]=trace",
            "[{id=1}]",
        ] {
            assert_eq!(level(&Value::text(text)).ok().as_deref(), Some(text));
        }
    }

    /// A library that no longer is one would let a wrong target pass.
    #[test]
    fn the_libraries_are_those_of_the_lockfile() {
        let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
        for name in LIBRARIES {
            assert!(
                lock.contains(&format!("name = \"{}\"", name.replace('_', "-"))),
                "{name}"
            );
        }
    }

    #[test]
    fn the_crates_are_those_of_the_folder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let manifests = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().join("Cargo.toml"));
        let names = manifests.filter_map(|path| {
            let text = std::fs::read_to_string(path).ok()?;
            let name = text.lines().find_map(|line| line.strip_prefix("name = "))?;
            Some(name.trim_matches('"').replace('-', "_"))
        });
        let mut names: Vec<_> = names.filter(|name| name.starts_with("sdk_relay")).collect();
        names.sort();
        assert_eq!(names, CRATES, "CRATES of log.rs has the crates that log");
    }
}
