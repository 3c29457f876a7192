//! Opening: identity, and the left-overs of a kill.

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

impl TweakIndex {
    /// Opens the index in this directory, or makes it. An index belongs to one network for good. One that begins above
    /// `start_height` because another start was configured is emptied, and one of an older format, too; one that begins
    /// below it stays as it is. A damaged database is set aside, and the index is empty then ([`Self::rebuild`]).
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

    /// Why the index is being built anew; `None` where it is not, or is built ([`Self::rebuilt`]).
    pub fn rebuild(&self) -> Option<Rebuild> {
        self.rebuilding.lock().clone()
    }

    /// Notes that the index holds the node's tip again.
    pub fn rebuilt(&self) {
        drop(self.rebuilding.lock().take());
    }

    /// Sets the damaged database aside while the index is in use, and begins an empty one. `damage`: what was found.
    pub fn start_anew(&self, damage: &IndexError) -> Result<Rebuild, IndexError> {
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
        sdk_relay_files::make_directory(dir, sdk_relay_files::Access::Umask).map_err(|source| IndexError::File {
            path: dir.to_owned(),
            source,
        })?;
        let path = dir.join(DATABASE);
        let options = Options {
            cache_bytes: CACHE_BYTES,
            // Its records are the only way to the blocks, and have no checksums of their own: a damaged one would hide
            // a block from every history. Some 1.4 bytes for each eligible transaction are read for that, a few hundred
            // megabytes on the main chain.
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

    /// Makes the tables and writes the identity into a new file; gives the format and the start that the file has.
    fn identify(&self, network: &str, start_height: u32) -> Result<(u64, u32), IndexError> {
        let tx = self.db.begin_write()?;
        let (format, found, start) = {
            let mut meta = tx.open_table(META)?;
            let mut names = tx.open_table(NAMES)?;
            tx.open_table(BLOCKS)?;
            tx.open_table(MARKS)?;
            tx.open_table(SPENT)?;
            let format = meta.get(META_FORMAT)?.map(|v| v.value());
            if format.is_none() {
                meta.insert(META_FORMAT, FORMAT)?;
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
        let dir = self.dir.clone();
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
        let start = start.and_then(|s| u32::try_from(s).ok());
        Ok((format, start.unwrap_or(start_height)))
    }

    /// Whether each height between the first and the last has its record.
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

    /// Cuts off what a killed writer left behind the last block that counts: bytes of its segment, and segments after
    /// it.
    fn cut_left_overs(&self) -> Result<(), IndexError> {
        let Some((height, record)) = self.last_record()? else {
            return self.cut(None);
        };
        match self.block(height) {
            Ok(_) => self.cut(Some((height / BLOCKS_PER_SEGMENT, record.end()))),
            // The tip's bytes were synchronised before they counted. Where they are not there, somebody changed the
            // files: it is set aside, and nothing is cut on its word.
            Err(IndexError::Corrupt { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
