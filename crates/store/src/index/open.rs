//! Opens the index: checks its identity, and removes bytes left over from a kill.

use std::path::Path;
use std::sync::Mutex;

use redb::{ReadableTable, ReadableTableMetadata};

use super::damage::Damaged;
use super::rebuild::{DATABASE, Rebuild, Rebuilding, set_aside};
use super::{
    BLOCKS, BLOCKS_PER_SEGMENT, CACHE_BYTES, FORMAT, IndexError, MARKS, META, META_FORMAT, META_START, NAME_NETWORK,
    NAMES, SPENT, TweakIndex,
};
use crate::db::{DatabaseFile, Db, Options};
use crate::identity::identity;

impl TweakIndex {
    /// Checks that [`Self::open`] would not refuse the index in a directory for its network or its format, without a
    /// change to it. `Ok(false)`: that is not known, because its database was not closed properly, and the start has to
    /// repair it first.
    pub fn check(dir: &Path, network: &str) -> Result<bool, IndexError> {
        let path = dir.join(DATABASE);
        let Some(identity) = identity(&path).map_err(|error| IndexError::opening(&path, error))? else {
            return Ok(false);
        };
        let format = identity.format.unwrap_or(FORMAT);
        let found = identity.bound_network(FORMAT);
        fits(dir, format, found.unwrap_or_else(|| network.to_owned()), network)?;
        Ok(true)
    }

    /// Opens the index in this directory, or creates it. From its first block on an index belongs to one network
    /// permanently; without one it takes this network and this start height. It is cleared if its configured start was
    /// above `start_height`, or if it has an older format; one that begins below is kept. A damaged database is moved
    /// aside, and the index is then empty ([`Self::rebuild`]).
    pub fn open(dir: &Path, network: &str, start_height: u32) -> Result<Self, IndexError> {
        match Self::open_whole(dir, network, start_height) {
            Err(damage) if damage.is_damage() => {
                let set_aside = set_aside(dir)?;
                let index = Self::open_whole(dir, network, start_height)?;
                let reason = damage.reason();
                *index.rebuilding.lock() = Some(Rebuild { set_aside, reason });
                Ok(index)
            }
            opened => opened,
        }
    }

    /// Why the index is being rebuilt; `None` if it is not, or once it is complete ([`Self::rebuilt`]).
    pub fn rebuild(&self) -> Option<Rebuild> {
        self.rebuilding.lock().clone()
    }

    /// Records that the index has reached the tip of the node.
    pub fn rebuilt(&self) {
        drop(self.rebuilding.lock().take());
    }

    /// Moves the damaged database aside while the index is in use, and creates an empty one. `damage`: the error that
    /// was found.
    pub fn reset_damaged(&self, damage: &IndexError) -> Result<Rebuild, IndexError> {
        self.recent().clear();
        self.forget_damage_above(None);
        let dir = &self.dir;
        let replaced = self.db.replace(|| set_aside(dir));
        let set_aside = replaced.map_err(|e| IndexError::opening(&dir.join(DATABASE), e))??;
        let reason = damage.reason();
        let rebuild = Rebuild { set_aside, reason };
        self.identify(&self.network, self.start_height)?;
        self.cut(None)?;
        *self.rebuilding.lock() = Some(rebuild.clone());
        Ok(rebuild)
    }

    fn open_whole(dir: &Path, network: &str, start_height: u32) -> Result<Self, IndexError> {
        sdk_relay_files::make_directory(dir).map_err(|source| IndexError::File {
            path: dir.to_owned(),
            source,
        })?;
        let path = dir.join(DATABASE);
        let options = Options {
            cache_bytes: CACHE_BYTES,
            // Its records have no checksums of their own: a damaged one would hide a block from every scan. The check
            // reads about 1.4 bytes per eligible transaction, a few hundred megabytes on mainnet.
            check: true,
        };
        let db = Db::open(Box::new(DatabaseFile(path.clone())), options);
        let db = db.map_err(|error| IndexError::opening(&path, error))?;
        let mut index = Self {
            db,
            dir: dir.to_owned(),
            network: network.to_owned(),
            start_height,
            recent: Mutex::default(),
            damaged: Damaged::default(),
            rebuilding: Rebuilding::default(),
        };
        let (format, built_from) = index.identify(network, start_height)?;
        if format < FORMAT || built_from > start_height {
            index.clear()?;
        } else {
            index.start_height = built_from;
        }
        index.has_no_hole()?;
        index.cut_left_overs()?;
        Ok(index)
    }

    /// Creates the tables and writes the identity into a new file; returns the format and the start height of the file.
    fn identify(&self, network: &str, start_height: u32) -> Result<(u64, u32), IndexError> {
        let tx = self.db.begin_write()?;
        let (format, found, start) = {
            let mut meta = tx.open_table(META)?;
            let mut names = tx.open_table(NAMES)?;
            let has_no_block = tx.open_table(BLOCKS)?.is_empty()?;
            tx.open_table(MARKS)?;
            tx.open_table(SPENT)?;
            let format = meta.get(META_FORMAT)?.map(|v| v.value());
            if format.is_none() {
                meta.insert(META_FORMAT, FORMAT)?;
            }
            if has_no_block && format.is_none_or(|format| format == FORMAT) {
                meta.insert(META_START, u64::from(start_height))?;
                names.insert(NAME_NETWORK, network)?;
            }
            let start = meta.get(META_START)?.map(|v| v.value());
            let found = names.get(NAME_NETWORK)?.map(|v| v.value().to_owned());
            (
                format.unwrap_or(FORMAT),
                found.unwrap_or_else(|| network.to_owned()),
                start,
            )
        };
        tx.commit()?;
        fits(&self.dir, format, found, network)?;
        let start = start.and_then(|s| u32::try_from(s).ok());
        Ok((format, start.unwrap_or(start_height)))
    }

    /// Checks that each height between the first and the last has a record.
    fn has_no_hole(&self) -> Result<(), IndexError> {
        let table = self.db.begin_read()?.open_table(BLOCKS)?;
        let (Some((first, _)), Some((last, _))) = (table.first()?, table.last()?) else {
            return Ok(());
        };
        let (first, last) = (first.value(), last.value());
        if table.len()? == u64::from(last - first) + 1 {
            return Ok(());
        }
        for (item, expected) in table.iter()?.zip(first..) {
            if item?.0.value() != expected {
                let dir = self.dir.clone();
                return Err(IndexError::Incomplete { dir, missing: expected });
            }
        }
        Ok(())
    }

    /// Removes what a killed writer left after the last committed block: bytes of its segment, and later segments.
    fn cut_left_overs(&self) -> Result<(), IndexError> {
        let Some((height, record)) = self.last_record()? else {
            return self.cut(None);
        };
        match self.block(height) {
            Ok(_) => self.cut(Some((height / BLOCKS_PER_SEGMENT, record.end()))),
            // The bytes of the tip were synchronised before its commit. If they are missing, the files were changed by
            // another program: quarantine the block, and truncate nothing.
            Err(IndexError::Corrupt { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn fits(dir: &Path, format: u64, found: String, network: &str) -> Result<(), IndexError> {
    let dir = dir.to_owned();
    if format > FORMAT {
        return Err(IndexError::NewerFormat {
            dir,
            found: format,
            readable: FORMAT,
        });
    }
    if found != network {
        let wanted = network.to_owned();
        return Err(IndexError::OtherNetwork { dir, found, wanted });
    }
    Ok(())
}
