//! The store as a whole: opened, checked, and what it knows of the chain.

use std::path::Path;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable};

use crate::format::{BLOCKS, EVENTS, FORMAT, META, META_FORMAT, NAME_NETWORK, NAMES, PAYMENTS, SYNC_HISTORY};
use crate::{OpenError, StoreError};

/// Bounds of the event log. The oldest events go first; the newest one always stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Events at most.
    pub events: u64,
    /// Bytes of events at most.
    pub bytes: u64,
}

/// Memory that the database may use for its pages. The log is written at its end and read near its end: little is needed.
const CACHE_BYTES: usize = 4 << 20;

/// The store of one relay. It may be shared; one task at a time writes.
#[derive(Debug)]
pub struct Store {
    pub(crate) db: Database,
    pub(crate) retention: Retention,
}

impl Store {
    /// Opens the file, or makes it. A store belongs to one network for good.
    pub fn open(path: &Path, network: &str, retention: Retention) -> Result<Self, OpenError> {
        let db = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)
            .map_err(|e| match e {
                DatabaseError::DatabaseAlreadyOpen => OpenError::InUse(path.to_owned()),
                e => OpenError::File {
                    path: path.to_owned(),
                    source: Box::new(e.into()),
                },
            })?;
        let file = |e: StoreError| match e {
            StoreError::Database(source) => OpenError::File {
                path: path.to_owned(),
                source,
            },
            e => OpenError::File {
                path: path.to_owned(),
                source: Box::new(redb::Error::Corrupted(e.to_string())),
            },
        };
        let store = Self { db, retention };
        let (format, found) = store.identify(network).map_err(file)?;
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
        Ok(store)
    }

    /// Recent blocks of the chain up to which events are logged, oldest first, without holes; the last is the tip.
    pub fn recent_blocks(&self) -> Result<Vec<(u32, BlockHash)>, StoreError> {
        let table = self.db.begin_read()?.open_table(BLOCKS)?;
        let mut blocks = Vec::new();
        for item in table.iter()? {
            let (height, hash) = item?;
            blocks.push((height.value(), BlockHash::from_byte_array(*hash.value())));
        }
        Ok(blocks)
    }

    /// Makes the tables and writes format and network into a new file; gives those that the file has.
    fn identify(&self, network: &str) -> Result<(u64, String), StoreError> {
        let tx = self.db.begin_write()?;
        let identity = {
            let mut meta = tx.open_table(META)?;
            let mut names = tx.open_table(NAMES)?;
            tx.open_table(BLOCKS)?;
            tx.open_table(EVENTS)?;
            tx.open_table(PAYMENTS)?;
            tx.open_table(SYNC_HISTORY)?;
            let format = meta.get(META_FORMAT)?.map(|v| v.value());
            let found = names.get(NAME_NETWORK)?.map(|v| v.value().to_owned());
            if format.is_none() {
                meta.insert(META_FORMAT, FORMAT)?;
                names.insert(NAME_NETWORK, network)?;
            }
            (format.unwrap_or(FORMAT), found.unwrap_or_else(|| network.to_owned()))
        };
        tx.commit()?;
        Ok(identity)
    }
}
