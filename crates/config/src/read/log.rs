//! The filter of the log.

use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::value::{Value, Wrong};

/// Crates that log, as `log.level` names them. A test compares them with the folder of crates.
const CRATES: &[&str] = &[
    "sdk_relay",
    "sdk_relay_backfill",
    "sdk_relay_bip352",
    "sdk_relay_blindbit",
    "sdk_relay_chain",
    "sdk_relay_cli",
    "sdk_relay_client",
    "sdk_relay_config",
    "sdk_relay_console",
    "sdk_relay_dashboard",
    "sdk_relay_detect",
    "sdk_relay_devchain",
    "sdk_relay_events",
    "sdk_relay_files",
    "sdk_relay_http",
    "sdk_relay_http_common",
    "sdk_relay_index",
    "sdk_relay_mesh",
    "sdk_relay_mesh_net",
    "sdk_relay_mesh_sim",
    "sdk_relay_mesh_table",
    "sdk_relay_platform",
    "sdk_relay_protocol",
    "sdk_relay_scan",
    "sdk_relay_scheduler",
    "sdk_relay_service",
    "sdk_relay_store",
    "sdk_relay_supervisor",
    "sdk_relay_telemetry",
    "sdk_relay_transport",
    "sdk_relay_ws",
];

/// The filter of the log.
pub(crate) fn level(value: &Value) -> Result<String, Wrong> {
    let text = value.as_text();
    // The library takes a misspelt level for a module name: nothing else would be logged.
    let is_known = |directive: &str| {
        let directive = directive.trim();
        directive.contains(['=', '[']) || LevelFilter::from_str(directive).is_ok()
    };
    let is_right = text.split(',').all(is_known) && EnvFilter::from_str(text).is_ok();
    is_right.then(|| text.to_owned()).ok_or(Wrong::unexpected())
}

/// A warning for each target of the filter that no log line has. Other libraries log too (`hyper=debug`), so only names
/// with our prefix are checked. Not an error: crate names change between versions, and a start must not fail for that.
pub(crate) fn unknown_targets(filter: &str) -> Vec<String> {
    let targets = filter.split(',').filter_map(|directive| {
        let target = directive.trim().split(['=', '[']).next()?;
        // Directory names contain dashes; targets contain underscores.
        target.replace('-', "_").starts_with("sdk_relay").then_some(target)
    });
    let unknown = targets.filter(|target| {
        // A directive applies to all targets that begin with it.
        let module_of = |name: &&&str| target.strip_prefix(**name).is_some_and(|rest| rest.starts_with("::"));
        !CRATES.iter().any(|name| name.starts_with(target)) && !CRATES.iter().any(|name| module_of(&name))
    });
    let sentence = |target: &str| {
        let crate_name = target.split("::").next().unwrap_or(target);
        let distance = |name: &&&str| strsim::damerau_levenshtein(name, crate_name);
        let nearest = CRATES.iter().min_by_key(distance).unwrap_or(&CRATES[0]);
        format!(
            "no log line has the target {target:?}; did you mean {nearest}? All: {}",
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
            "hyper=debug,tokio=trace",
            "info,sdk_relay_mesh_net=off",
        ] {
            assert!(unknown_targets(filter).is_empty(), "{filter}");
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
