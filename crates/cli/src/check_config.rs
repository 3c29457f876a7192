//! `sdk_relay check-config`: checks the configuration as a start does, then this machine, then the node.

mod machine;
mod node;
mod report;

use anyhow::{Context, bail};
use sdk_relay_config::{Config, Loader, Overrides};
use sdk_relay_console::say_warning;
use sdk_relay_echo::short;
use sdk_relay_electrum::check_backend;
use sdk_relay_service::preflight;

use crate::text::source;
use report::Report;

/// Prints a line for each check. Fails as the start would, or if the node or the Electrum server cannot be used.
/// `is_offline`: without these.
pub(super) fn check(overrides: Overrides, is_offline: bool) -> anyhow::Result<()> {
    let loader = Loader::new(overrides);
    loader.unknown_variables().iter().for_each(say_warning);
    let without_file = loader.nothing_given();
    let config = loader.load()?;
    // The checks of the start, with its messages.
    preflight::check(&config)?;

    let mut report = Report::default();
    report.good(format!(
        "The configuration is valid: {} on {}, data in {}",
        config.network,
        source(&config),
        config.data_dir.display()
    ));
    if let Some(file) = without_file {
        report.note(format!(
            "There is no configuration file {}: all settings have their defaults (sdk_relay init writes a file)",
            file.display()
        ));
    }
    for warning in config.warnings() {
        report.note(warning);
    }
    machine::check(&config, &mut report);
    if is_offline {
        // A start does not need the cookie: the node may start later. A configured path is probably mistyped.
        preflight::cookie(&config)?;
    } else {
        others(&config, &mut report)?;
    }
    match report.failures() {
        0 => Ok(()),
        1 => bail!("1 check failed: see the line with ✗"),
        failures => bail!("{failures} checks failed: see the lines with ✗"),
    }
}

/// The programs that the relay needs, over the network.
fn others(config: &Config, report: &mut Report) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    runtime.block_on(async {
        if !config.standalone {
            node::check(config, report).await;
        }
        if let Some(backend) = &config.electrum.backend {
            let at = short(&backend.target);
            match check_backend(backend).await {
                Ok(()) => report.good(format!("Electrum server: {at} answers")),
                Err(reason) => report.bad(format!("Electrum server: electrum.backend {at}: {reason}")),
            }
        }
    });
    Ok(())
}
