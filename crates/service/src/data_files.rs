//! The files of the data directory that a start opens.
//!
//! All are created with mode 0600 (crate `files`). Those of older versions, which left the mode to the umask, get it at
//! the start.
//!
//! A restart that fails because of one leaves no relay: the previous one has ended, and its successor, with the old
//! configuration, meets the same file. They are checked before that.

use std::io;
use std::path::{Path, PathBuf};

use sdk_relay_config::{CHANGES_FILE, Config, ConfigError, LOCK_FILE};
use sdk_relay_files::{
    Open, check_directory, check_regular, entries, exists, is_absent, is_link, make_private, metadata, reason,
};
use sdk_relay_transport::tls;

/// Name of the event log in the data directory.
pub const STORE_FILE: &str = "relay.redb";
/// Name of the file with the positions of the webhooks in the data directory.
pub const WEBHOOKS_FILE: &str = "webhooks.json";
/// Name of the directory of the tweak index in the data directory.
pub const INDEX_DIRECTORY: &str = "index";

/// What a relay creates in its data directory, and older versions created with a wider mode. Not the keys: a start
/// refuses those that others can read, as somebody may have read them. Not the self-signed certificate: it is public,
/// and an operator may share it.
const CREATED: [&str; 6] = [
    LOCK_FILE,
    CHANGES_FILE,
    STORE_FILE,
    sdk_relay_mesh_net::NAMES_FILE,
    sdk_relay_devchain::FILE_NAME,
    INDEX_DIRECTORY,
];

/// Removes the access of other users to what the relay has created in its data directory, and logs it. What a link
/// leads to was not created by the relay, and is left alone. The mode of the directory itself is the operator's; one
/// that others may write to is a warning.
pub fn restrict_access(data_dir: &Path) {
    if let Some(sentence) = open_to_others(data_dir) {
        tracing::warn!("{sentence}");
    }
    for path in CREATED.map(|name| data_dir.join(name)) {
        match restrict(&path) {
            Ok(None) => {}
            Ok(Some(mode)) => tracing::warn!(
                file = %path.display(),
                mode = format!("{mode:o}"),
                "removed the access of other users to a file of the data directory"
            ),
            Err(error) => warn_of(&path, &error),
        }
    }
    let index = data_dir.join(INDEX_DIRECTORY);
    let files = match entries(&index) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return warn_of(&index, &error),
    };
    // The index of a long chain has hundreds of files: one line for all, and one for all that cannot be changed.
    let (mut restricted, mut failed) = (0, None);
    for path in files {
        match restrict(&path) {
            Ok(mode) => restricted += u32::from(mode.is_some()),
            Err(error) => failed = failed.or(Some((path, error))),
        }
    }
    if let Some((path, error)) = failed {
        warn_of(&path, &error);
    }
    if restricted > 0 {
        tracing::warn!(
            directory = %index.display(),
            files = restricted,
            "removed the access of other users to files of the tweak index"
        );
    }
}

/// The mode that was too wide, if it was.
fn restrict(path: &Path) -> io::Result<Option<u32>> {
    if is_link(path)? || !exists(path)? {
        return Ok(None);
    }
    make_private(path)
}

/// What is wrong with the mode of a data directory; `None` for a good one, and where directories have no modes.
pub fn open_to_others(data_dir: &Path) -> Option<String> {
    let mode = metadata(data_dir).ok()?.mode.filter(|mode| mode & 0o022 != 0)?;
    let mode = mode & 0o7777;
    Some(format!(
        "other users may write to the data directory {} (mode {mode:o}), and so replace the keys and the events of this relay: chmod 700 {0}",
        data_dir.display()
    ))
}

fn warn_of(path: &Path, error: &io::Error) {
    tracing::warn!(
        file = %path.display(),
        %error,
        "cannot remove the access of other users to a file of the data directory: make the relay's user its owner"
    );
}

/// Checks that each of them is absent, or of the right type and open to this user for reading and writing. The keys
/// have checks of their own.
pub(crate) fn check(config: &Config) -> Vec<ConfigError> {
    let directory = &config.data_dir;
    let unusable = |path: &Path, error: io::Error| {
        let reason = reason(&error);
        let reason = format!("cannot be used: {reason}; move it out of the data directory, or correct its permissions");
        config.unusable("data_dir", path.display(), reason)
    };
    let mut errors = Vec::new();
    let mut files = vec![
        directory.join(STORE_FILE),
        directory.join(sdk_relay_mesh_net::NAMES_FILE),
    ];
    files.extend(tls::own_files(config));
    if !config.webhooks.is_empty() {
        files.push(directory.join(WEBHOOKS_FILE));
    }
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
