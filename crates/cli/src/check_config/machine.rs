//! What the relay needs from this machine: disk space, ports, open files.

use std::fmt::Display;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use sdk_relay_config::{Config, DataDir, Network, TlsFiles};
use sdk_relay_files::{exists, free_space};
use sdk_relay_service::data_files::{INDEX_DIRECTORY, STORE_FILE, open_to_others};
use sdk_relay_service::preflight;
use sdk_relay_store::index::{DATABASE, IndexError};
use sdk_relay_store::{Store, TweakIndex};
use sdk_relay_transport::open_files;
use sdk_relay_transport::tls::{self, Dates};

use super::report::Report;

const MEGABYTE: u64 = 1_000_000;
/// Less than this is too little for the event log (`retention.megabytes`, 256 by default) and its commits.
const LEAST_SPACE: u64 = 300 * MEGABYTE;
/// The tweak index of mainnet, at 110 bytes for each eligible transaction since taproot, with room for some years.
const INDEX_OF_MAINNET: u64 = 30_000 * MEGABYTE;

pub(super) fn check(config: &Config, report: &mut Report) {
    let user = DataDir::user(&config.data_dir);
    match &user {
        Some(process) => report.note(format!(
            "Data directory: a relay uses {} now (process {process}); this check does not disturb it",
            config.data_dir.display()
        )),
        None => report.good(format!("Data directory: {} can be written", config.data_dir.display())),
    }
    if let Some(sentence) = open_to_others(&config.data_dir) {
        report.note(format!("Data directory: {sentence}"));
    }
    if user.is_none() {
        stores(config, report);
    }
    space(config, user.is_some(), report);
    for (key, address) in preflight::listen_addresses(config) {
        port(config, key, address, user.is_some(), report);
    }
    certificate(config, report);
    match open_files::shortage(config) {
        Some((_, sentence)) => report.note(format!("Open files: {sentence}")),
        None => report.good("Open files: the limit is high enough for limits.connections"),
    }
}

/// Whether the event log and the tweak index of the data directory can be used with this configuration. Those that a
/// relay uses now have been checked at its start.
fn stores(config: &Config, report: &mut Report) {
    let network = config.network.name();
    let store = config.data_dir.join(STORE_FILE);
    if exists(&store).unwrap_or(false) {
        let checked = Store::check(&store, network);
        report_store("Event log", &store, network, checked, report);
    }
    let index = config.data_dir.join(INDEX_DIRECTORY);
    if config.index.is_some() && exists(&index.join(DATABASE)).unwrap_or(false) {
        let checked = TweakIndex::check(&index, network);
        // A damaged index is built again.
        if !checked.as_ref().is_err_and(IndexError::is_damage) {
            report_store("Tweak index", &index, network, checked, report);
        }
    }
}

fn report_store<E: Display>(what: &str, path: &Path, network: &str, checked: Result<bool, E>, report: &mut Report) {
    match checked {
        Ok(true) => report.good(format!("{what}: {} is one of {network}", path.display())),
        Ok(false) => report.note(format!(
            "{what}: {} was not closed properly: the start repairs it, and only then checks its network",
            path.display()
        )),
        Err(error) => report.bad(format!("{what}: {error}")),
    }
}

/// The dates of the certificate. That it can be loaded has been checked before.
fn certificate(config: &Config, report: &mut Report) {
    let Some(file) = tls::own_certificate(config) else {
        return;
    };
    if config.tls == Some(TlsFiles::SelfSigned) && !exists(&file).unwrap_or(true) {
        return report.good(format!("Certificate: the start makes {}", file.display()));
    }
    let file = file.display();
    match tls::check(config) {
        Ok(Dates::Valid) => report.good(format!("Certificate: {file} is valid")),
        Ok(Dates::EndsSoon(sentence)) => report.note(format!("Certificate: {file} {sentence}")),
        Ok(Dates::Refused(sentence)) => report.bad(format!("Certificate: {file} {sentence}")),
        Err(error) => report.bad(format!("Certificate: {error}")),
    }
}

/// Free disk space. `is_used`: a relay has written a part of what it needs.
fn space(config: &Config, is_used: bool, report: &mut Report) {
    let dir = config.data_dir.display();
    let free = match free_space(&config.data_dir) {
        Ok(free) => free,
        Err(error) => return report.note(format!("Disk: the free space of {dir} is not known ({error})")),
    };
    let megabytes = free / MEGABYTE;
    let has_index = config.index.is_some() && config.network == Network::Mainnet;
    if free < LEAST_SPACE {
        let least = LEAST_SPACE / MEGABYTE;
        report.bad(format!(
            "Disk: only {megabytes} MB are free in {dir}, and the event log alone needs {least} MB: free space, or choose another data_dir"
        ));
    } else if has_index && free < INDEX_OF_MAINNET && !is_used {
        let needs = INDEX_OF_MAINNET / MEGABYTE;
        report.note(format!(
            "Disk: {megabytes} MB are free in {dir}, and the tweak index of mainnet needs up to {needs} MB in all: free space, choose another \
             data_dir, or set index.enabled = false"
        ));
    } else {
        report.good(format!("Disk: {megabytes} MB are free"));
    }
}

/// Whether the port is free. `is_used`: a relay runs with this data directory, and probably has it.
fn port(config: &Config, key: &str, address: SocketAddr, is_used: bool, report: &mut Report) {
    match TcpListener::bind(address) {
        Ok(_) => report.good(format!("Port: {key} {address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_used => {
            report.note(format!(
                "Port: {key} {address} is in use: by the relay that runs, or by another program (ss -ltnp names it)"
            ));
        }
        Err(error) => report.bad(format!(
            "Port: {}",
            preflight::cannot_listen(config, key, address, &error)
        )),
    }
}
