//! Opens the store: checks its identity, and migrates it.

use std::path::Path;
use std::sync::Mutex;

use redb::{ReadableTable, ReadableTableMetadata};

use crate::db::{DatabaseFile, Db, Medium, Options, is_damage};
use crate::format::{BLOCKS, FORMAT, LOG, META, META_FORMAT, NAME_NETWORK, NAMES, PAYMENTS, SYNC_HISTORY};
use crate::identity::identity;
use crate::migrate::{self, Slice};
use crate::{OpenError, Retention, StoreError};

/// Cache size of the database. The log is written at its end and read near its end, so a small one suffices.
const CACHE_BYTES: usize = 4 << 20;

/// The store of one relay. It may be shared between threads; one task at a time writes.
#[derive(Debug)]
pub struct Store {
    pub(crate) db: Db,
    pub(crate) retention: Retention,
    /// The newest key before a commit of syncs with an unknown outcome.
    pub(crate) uncertain_syncs: Mutex<Option<u64>>,
}

impl Store {
    /// Opens the file, or creates it. From its first block on a store belongs to one network permanently; without one
    /// it takes this network. A file of an older format is migrated first, which takes a few seconds.
    pub fn open(path: &Path, network: &str, retention: Retention) -> Result<Self, OpenError> {
        Self::open_on(Box::new(DatabaseFile(path.to_owned())), path, network, retention)
    }

    /// Checks that [`Self::open`] would not refuse a file for its network or its format, without a change to it.
    /// `Ok(false)`: that is not known, because the file was not closed properly, and the start has to repair it first.
    pub fn check(path: &Path, network: &str) -> Result<bool, OpenError> {
        let Some(identity) = identity(path).map_err(|source| failed(path, source))? else {
            return Ok(false);
        };
        let format = identity.format.unwrap_or(FORMAT);
        let found = identity.bound_network(FORMAT);
        fits(path, format, found.unwrap_or_else(|| network.to_owned()), network)?;
        Ok(true)
    }

    /// [`Self::open`] on another medium; `path` is its name in errors.
    pub fn open_on(
        medium: Box<dyn Medium>,
        path: &Path,
        network: &str,
        retention: Retention,
    ) -> Result<Self, OpenError> {
        Self::open_in_slices(medium, path, network, retention, migrate::SLICE)
    }

    /// The same, with another size of the migration transactions.
    pub(crate) fn open_in_slices(
        medium: Box<dyn Medium>,
        path: &Path,
        network: &str,
        retention: Retention,
        slice: Slice,
    ) -> Result<Self, OpenError> {
        let options = Options {
            cache_bytes: CACHE_BYTES,
            // Detects a damaged file at the start instead of by a panic later; checking a log of the default size takes
            // less than a second.
            check: true,
        };
        let failed = |source| failed(path, source);
        let file = |error: StoreError| match error {
            StoreError::Database(source) => failed(*source),
            error => OpenError::Damaged {
                path: path.to_owned(),
                reason: error.to_string(),
            },
        };
        let db = Db::open(medium, options).map_err(failed)?;
        let (format, found) = identify(&db, network).map_err(file)?;
        fits(path, format, found, network)?;
        migrate::to_current(&db, format, path, slice).map_err(file)?;
        Ok(Self {
            db,
            retention,
            uncertain_syncs: Mutex::new(None),
        })
    }
}

fn fits(path: &Path, format: u64, found: String, network: &str) -> Result<(), OpenError> {
    if format > FORMAT {
        return Err(OpenError::NewerFormat {
            path: path.to_owned(),
            found: format,
            readable: FORMAT,
        });
    }
    if found != network {
        return Err(OpenError::OtherNetwork {
            path: path.to_owned(),
            found,
            wanted: network.to_owned(),
        });
    }
    Ok(())
}

fn failed(path: &Path, source: redb::Error) -> OpenError {
    match source {
        redb::Error::DatabaseAlreadyOpen => OpenError::InUse(path.to_owned()),
        source if is_damage(&source) => OpenError::Damaged {
            path: path.to_owned(),
            reason: source.to_string(),
        },
        source => OpenError::File {
            path: path.to_owned(),
            reason: source.to_string(),
        },
    }
}

/// Format and network of the file. A new file gets those of this program, and its tables; one without a block gets the
/// network, because a first start with the wrong network must not decide for ever. A file that this program cannot use
/// is not modified.
fn identify(db: &Db, network: &str) -> Result<(u64, String), StoreError> {
    let tx = db.begin_write()?;
    let (format, found) = {
        let mut meta = tx.open_table(META)?;
        let mut names = tx.open_table(NAMES)?;
        let format = meta.get(META_FORMAT)?.map(|v| v.value());
        let mut found = names.get(NAME_NETWORK)?.map(|v| v.value().to_owned());
        if format.is_none() {
            meta.insert(META_FORMAT, FORMAT)?;
        }
        if format.is_none_or(|format| format == FORMAT) && tx.open_table(BLOCKS)?.is_empty()? {
            names.insert(NAME_NETWORK, network)?;
            found = None;
        }
        (format.unwrap_or(FORMAT), found.unwrap_or_else(|| network.to_owned()))
    };
    if format <= FORMAT && found == network {
        tx.open_table(BLOCKS)?;
        tx.open_table(LOG)?;
        tx.open_table(PAYMENTS)?;
        tx.open_table(SYNC_HISTORY)?;
        tx.commit()?;
    }
    Ok((format, found))
}
