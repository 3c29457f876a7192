//! The files of the data directory that a start opens.
//!
//! A restart that fails because of one leaves no relay: the previous one has ended, and its successor, with the old
//! configuration, meets the same file. They are checked before that.

use std::io;
use std::path::{Path, PathBuf};

use sdk_relay_config::{Config, ConfigError};
use sdk_relay_files::{Open, check_directory, check_regular, is_absent};
use sdk_relay_transport::tls;

/// Name of the event log in the data directory.
pub const STORE_FILE: &str = "relay.redb";
/// Name of the directory of the tweak index in the data directory.
pub const INDEX_DIRECTORY: &str = "index";

/// Checks that each of them is absent, or of the right type and open to this user for reading and writing. The keys
/// have checks of their own.
pub(crate) fn check(config: &Config) -> Vec<ConfigError> {
    let directory = &config.data_dir;
    let unusable = |path: &Path, error: io::Error| {
        let reason = format!("cannot be used: {error}; move it out of the data directory, or correct its permissions");
        config.unusable("data_dir", path.display(), reason)
    };
    let mut errors = Vec::new();
    let mut files = vec![
        directory.join(STORE_FILE),
        directory.join(sdk_relay_mesh_net::NAMES_FILE),
    ];
    files.extend(tls::own_files(config));
    if config.standalone {
        files.push(directory.join(sdk_relay_devchain::FILE_NAME));
    }
    if config.index.is_some() {
        let index = directory.join(INDEX_DIRECTORY);
        match check_unless_absent(&index, check_directory) {
            Ok(()) => files.push(index.join(sdk_relay_store::index::DATABASE)),
            Err(error) => errors.push(unusable(&index, error)),
        }
    }
    let unusable_file = |file: &PathBuf| Some(unusable(file, check_unless_absent(file, writable).err()?));
    errors.extend(files.iter().filter_map(unusable_file));
    errors
}

fn check_unless_absent(path: &Path, check: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    if is_absent(path)? { Ok(()) } else { check(path) }
}

fn writable(path: &Path) -> io::Result<()> {
    check_regular(path)?;
    Open::writing().open(path).map(drop)
}
