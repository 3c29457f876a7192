//! What a database file says about itself, read without a change to it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTableMetadata, StorageError, TableError};
use sdk_relay_files::Open;

use crate::db::{Watched, backend};
use crate::format::{BLOCKS, META, META_FORMAT, NAME_NETWORK, NAMES};

/// Format and network; those that a new file does not have yet are `None`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) format: Option<u64>,
    pub(crate) network: Option<String>,
    /// Without one, a file of the present format takes the network of the next start.
    pub(crate) has_block: bool,
}

impl Identity {
    /// The network that the file belongs to, if its format is this one; `None` before its first block.
    pub(crate) fn bound_network(self, format: u64) -> Option<String> {
        let is_bound = self.has_block || self.format.is_some_and(|found| found != format);
        self.network.filter(|_| is_bound)
    }
}

/// The identity of the event log or the tweak index. `None`: it was not closed properly, and only opening it for
/// writing repairs it. `DatabaseAlreadyOpen` if another process uses it.
pub(crate) fn identity(path: &Path) -> Result<Option<Identity>, redb::Error> {
    let watched = Watched {
        inner: backend(Open::reading().open(path)?)?,
        failed: Arc::default(),
    };
    // redb asserts on some damaged input; nothing else has the database.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        Database::builder().open_read_only_with_backend(watched)
    }));
    let database = match opened {
        Ok(Err(DatabaseError::RepairAborted)) => return Ok(None),
        Ok(opened) => opened?,
        Err(_) => return Err(StorageError::Corrupted("the file is not a database".to_owned()).into()),
    };
    let tx = database.begin_read()?;
    let format = match tx.open_table(META) {
        Ok(meta) => meta.get(META_FORMAT)?.map(|value| value.value()),
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(error.into()),
    };
    // The event log and the tweak index both have a table of this name.
    let has_block = match tx.open_untyped_table(BLOCKS) {
        Ok(blocks) => !blocks.is_empty()?,
        Err(TableError::TableDoesNotExist(_)) => false,
        Err(error) => return Err(error.into()),
    };
    let network = match tx.open_table(NAMES) {
        Ok(names) => names.get(NAME_NETWORK)?.map(|value| value.value().to_owned()),
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Some(Identity {
        format,
        network,
        has_block,
    }))
}
