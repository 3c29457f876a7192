//! The store as a whole: opened, checked, migrated.

use std::path::Path;
use std::sync::Mutex;

use redb::ReadableTable;

use crate::db::{DatabaseFile, Db, Medium, Options, is_damage};
use crate::format::{BLOCKS, FORMAT, LOG, META, META_FORMAT, NAME_NETWORK, NAMES, PAYMENTS, SYNC_HISTORY};
use crate::migrate::{self, Slice};
use crate::{OpenError, Retention, StoreError};

/// Memory that the database may use for its pages. The log is written at its end and read near its end: little is
/// needed.
const CACHE_BYTES: usize = 4 << 20;

/// The store of one relay. It may be shared; one task at a time writes.
#[derive(Debug)]
pub struct Store {
    pub(crate) db: Db,
    pub(crate) retention: Retention,
    /// A commit of syncs whose end is not known: the newest key before it.
    pub(crate) uncertain_syncs: Mutex<Option<u64>>,
}

impl Store {
    /// Opens the file, or makes it. A store belongs to one network for good. A file of an older format is migrated
    /// first, which takes some seconds.
    pub fn open(path: &Path, network: &str, retention: Retention) -> Result<Self, OpenError> {
        Self::open_on(Box::new(DatabaseFile(path.to_owned())), path, network, retention)
    }

    /// The same on another medium; `path` is its name in errors.
    pub fn open_on(
        medium: Box<dyn Medium>,
        path: &Path,
        network: &str,
        retention: Retention,
    ) -> Result<Self, OpenError> {
        Self::open_in_slices(medium, path, network, retention, migrate::SLICE)
    }

    /// The same with another size of the steps of a migration.
    pub(crate) fn open_in_slices(
        medium: Box<dyn Medium>,
        path: &Path,
        network: &str,
        retention: Retention,
        slice: Slice,
    ) -> Result<Self, OpenError> {
        let options = Options {
            cache_bytes: CACHE_BYTES,
            // A damaged file is named here, not by a panic in the middle of the night; the log's default bound is read
            // in less than a second.
            check: true,
        };
        let failed = |source: redb::Error| match source {
            redb::Error::DatabaseAlreadyOpen => OpenError::InUse(path.to_owned()),
            source if is_damage(&source) => OpenError::Damaged {
                path: path.to_owned(),
                reason: source.to_string(),
            },
            source => OpenError::File {
                path: path.to_owned(),
                reason: source.to_string(),
            },
        };
        let file = |error: StoreError| match error {
            StoreError::Database(source) => failed(*source),
            error => OpenError::Damaged {
                path: path.to_owned(),
                reason: error.to_string(),
            },
        };
        let db = Db::open(medium, options).map_err(failed)?;
        let (format, found) = identify(&db, network).map_err(file)?;
        if format > FORMAT {
            return Err(OpenError::NewerFormat {
                path: path.to_owned(),
                found: format,
                readable: FORMAT,
            });
        }
        if found != network {
            let wanted = network.to_owned();
            return Err(OpenError::OtherNetwork {
                path: path.to_owned(),
                found,
                wanted,
            });
        }
        migrate::to_current(&db, format, path, slice).map_err(file)?;
        Ok(Self {
            db,
            retention,
            uncertain_syncs: Mutex::new(None),
        })
    }
}

/// Format and network of the file. A new file gets those of this program, and its tables; into one that this program
/// cannot use nothing is written.
fn identify(db: &Db, network: &str) -> Result<(u64, String), StoreError> {
    let tx = db.begin_write()?;
    let (format, found) = {
        let mut meta = tx.open_table(META)?;
        let mut names = tx.open_table(NAMES)?;
        let format = meta.get(META_FORMAT)?.map(|v| v.value());
        let found = names.get(NAME_NETWORK)?.map(|v| v.value().to_owned());
        if format.is_none() {
            meta.insert(META_FORMAT, FORMAT)?;
            names.insert(NAME_NETWORK, network)?;
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
