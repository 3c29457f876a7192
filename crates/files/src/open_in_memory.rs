//! An open file of a simulated disk.

use std::fs::TryLockError;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use crate::disk::{Disk, Inode, Operation, SharedInode};
use crate::options::Open;

/// A handle to a file. It stays valid when the file is renamed or removed.
#[derive(Debug)]
pub(crate) struct OpenedInMemory {
    disk: Disk,
    /// Where it was opened, for faults.
    path: PathBuf,
    inode: SharedInode,
    position: usize,
    options: Open,
    holds_lock: std::sync::atomic::AtomicBool,
}

impl OpenedInMemory {
    pub(crate) fn open(disk: Disk, path: &Path, options: Open) -> io::Result<Self> {
        let inode = disk.inode(path, options)?;
        Ok(Self {
            disk,
            path: path.to_owned(),
            inode,
            position: 0,
            options,
            holds_lock: false.into(),
        })
    }

    fn inode(&self) -> MutexGuard<'_, Inode> {
        self.inode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_write(&self) -> io::Result<()> {
        if !(self.options.write || self.options.append) {
            return Err(io::Error::new(
                ErrorKind::PermissionDenied,
                "the file is open for reading only",
            ));
        }
        self.disk.check(Operation::Write, &self.path)
    }

    pub(crate) fn size(&self) -> u64 {
        self.inode().content.len() as u64
    }

    pub(crate) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.check(Operation::Read, &self.path)?;
        let begin = place(offset)?;
        let inode = self.inode();
        let bytes = begin
            .checked_add(buffer.len())
            .and_then(|end| inode.content.get(begin..end))
            .ok_or(ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.may_write()?;
        self.inode().write(place(offset)?, bytes);
        Ok(())
    }

    pub(crate) fn set_len(&self, size: u64) -> io::Result<()> {
        self.may_write()?;
        self.inode().set_len(place(size)?);
        Ok(())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.disk.check(Operation::Sync, &self.path)?;
        self.inode().sync();
        Ok(())
    }

    pub(crate) fn try_lock(&self) -> Result<(), TryLockError> {
        use std::sync::atomic::Ordering;
        if self.holds_lock.load(Ordering::Relaxed) {
            return Ok(());
        }
        if std::mem::replace(&mut self.inode().is_locked, true) {
            return Err(TryLockError::WouldBlock);
        }
        self.holds_lock.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.inode().is_locked
    }
}

impl Drop for OpenedInMemory {
    fn drop(&mut self) {
        if *self.holds_lock.get_mut() {
            self.inode().is_locked = false;
        }
    }
}

impl Read for OpenedInMemory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.disk.check(Operation::Read, &self.path)?;
        let read = {
            let inode = self.inode();
            let rest = inode.content.get(self.position..).unwrap_or_default();
            let read = rest.len().min(buffer.len());
            if let (Some(to), Some(from)) = (buffer.get_mut(..read), rest.get(..read)) {
                to.copy_from_slice(from);
            }
            read
        };
        self.position += read;
        Ok(read)
    }
}

impl Write for OpenedInMemory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.may_write()?;
        if self.options.append {
            let end = self.inode().content.len();
            self.position = end;
        }
        self.inode().write(self.position, bytes);
        self.position += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for OpenedInMemory {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(offset) => (offset, 0),
            SeekFrom::End(by) => (self.size(), by),
            SeekFrom::Current(by) => (self.position as u64, by),
        };
        let position = from.checked_add_signed(by).ok_or(ErrorKind::InvalidInput)?;
        self.position = place(position)?;
        Ok(position)
    }
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| ErrorKind::FileTooLarge.into())
}
