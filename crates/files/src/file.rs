//! An open file: of the system, or of a simulated disk.

use std::fs::TryLockError;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::{Named as _, failed};
use crate::open_in_memory::OpenedInMemory;
use crate::options::Open;

const READ: &str = "read";
const WRITE: &str = "write";
const LOCK: &str = "lock";

impl Open {
    /// Opens the file.
    pub fn open(self, path: &Path) -> io::Result<File> {
        let handle = self.handle(path).named(self.verb(), path)?;
        let path = path.to_owned();
        Ok(File { handle, path })
    }

    /// What a person who reads an error wants to know: what the program was about to do.
    fn verb(self) -> &'static str {
        if self.create_new {
            "create"
        } else if self.write || self.append {
            "write"
        } else {
            "read"
        }
    }

    fn handle(self, path: &Path) -> io::Result<Handle> {
        if let Some(disk) = disk::mounted() {
            return OpenedInMemory::open(disk, path, self).map(Handle::Memory);
        }
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(self.write).append(self.append);
        options
            .create(self.create)
            .create_new(self.create_new)
            .truncate(self.truncate);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        options.open(path).map(Handle::System)
    }
}

/// An open file. Reads and writes with an offset do not move the position of [`Read`], [`Write`] and [`Seek`].
#[derive(Debug)]
pub struct File {
    handle: Handle,
    /// Where it was opened, for errors.
    path: PathBuf,
}

#[derive(Debug)]
enum Handle {
    System(std::fs::File),
    Memory(OpenedInMemory),
}

impl File {
    /// The file of the system, for what needs one; itself if it is on a simulated disk.
    pub fn into_system(self) -> Result<std::fs::File, Self> {
        match self.handle {
            Handle::System(file) => Ok(file),
            handle @ Handle::Memory(_) => Err(Self { handle, ..self }),
        }
    }

    /// Size in bytes.
    pub fn size(&self) -> io::Result<u64> {
        match &self.handle {
            Handle::System(file) => file.metadata().map(|metadata| metadata.len()).named(READ, &self.path),
            Handle::Memory(file) => Ok(file.size()),
        }
    }

    /// Fills the buffer from this offset. `UnexpectedEof` if the file ends before.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match &self.handle {
            Handle::System(file) => system::read_exact_at(file, buffer, offset),
            Handle::Memory(file) => file.read_exact_at(buffer, offset),
        }
        .named(READ, &self.path)
    }

    /// Writes all bytes at this offset.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match &self.handle {
            Handle::System(file) => system::write_all_at(file, bytes, offset),
            Handle::Memory(file) => file.write_all_at(bytes, offset),
        }
        .named(WRITE, &self.path)
    }

    /// Truncates the file, or extends it with zeros.
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        match &self.handle {
            Handle::System(file) => file.set_len(size),
            Handle::Memory(file) => file.set_len(size),
        }
        .named(WRITE, &self.path)
    }

    /// Makes the content durable.
    pub fn sync_data(&self) -> io::Result<()> {
        match &self.handle {
            Handle::System(file) => file.sync_data(),
            Handle::Memory(file) => file.sync(),
        }
        .named(WRITE, &self.path)
    }

    /// Makes content and metadata durable.
    pub fn sync_all(&self) -> io::Result<()> {
        match &self.handle {
            Handle::System(file) => file.sync_all(),
            Handle::Memory(file) => file.sync(),
        }
        .named(WRITE, &self.path)
    }

    /// Locks the file exclusively, until it is closed. Does not wait.
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        let locked = match &self.handle {
            Handle::System(file) => file.try_lock(),
            Handle::Memory(file) => file.try_lock(),
        };
        locked.map_err(|error| match error {
            TryLockError::Error(error) => TryLockError::Error(failed(LOCK, &self.path, error)),
            TryLockError::WouldBlock => TryLockError::WouldBlock,
        })
    }

    /// Whether another open file has the exclusive lock. The check itself takes a shared lock for a moment.
    pub fn is_locked(&self) -> io::Result<bool> {
        match &self.handle {
            Handle::System(file) => match file.try_lock_shared() {
                Ok(()) => file.unlock().map(|()| false),
                Err(TryLockError::WouldBlock) => Ok(true),
                Err(TryLockError::Error(error)) => Err(error),
            },
            Handle::Memory(file) => Ok(file.is_locked()),
        }
        .named(LOCK, &self.path)
    }

    /// Removes the access of all but the owner. Returns the mode that allowed it; `None` if none did, and where files
    /// have no modes.
    pub(crate) fn make_private(&self) -> io::Result<Option<u32>> {
        match &self.handle {
            #[cfg(unix)]
            Handle::System(file) => system::make_private(file),
            #[cfg(not(unix))]
            Handle::System(_) => Ok(None),
            // Files of a simulated disk are created private, and nothing changes that.
            Handle::Memory(_) => Ok(None),
        }
        .named("change the mode of", &self.path)
    }
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.handle {
            Handle::System(file) => file.read(buffer),
            Handle::Memory(file) => file.read(buffer),
        }
        .named(READ, &self.path)
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.handle {
            Handle::System(file) => file.write(bytes),
            Handle::Memory(file) => file.write(bytes),
        }
        .named(WRITE, &self.path)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.handle {
            Handle::System(file) => file.flush(),
            Handle::Memory(_) => Ok(()),
        }
        .named(WRITE, &self.path)
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.handle {
            Handle::System(file) => file.seek(to),
            Handle::Memory(file) => file.seek(to),
        }
        .named(READ, &self.path)
    }
}

#[cfg(unix)]
mod system {
    use std::fs::{File, Permissions};
    use std::io;
    use std::os::unix::fs::{FileExt, PermissionsExt};

    pub(super) fn make_private(file: &File) -> io::Result<Option<u32>> {
        let mode = file.metadata()?.permissions().mode() & 0o7777;
        if mode & 0o077 == 0 {
            return Ok(None);
        }
        file.set_permissions(Permissions::from_mode(mode & 0o700))?;
        Ok(Some(mode))
    }

    pub(super) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        file.read_exact_at(buffer, offset)
    }

    pub(super) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }
}

#[cfg(windows)]
mod system {
    use std::fs::File;
    use std::io;
    use std::os::windows::fs::FileExt;

    pub(super) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            let read = file.seek_read(buffer, offset)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buffer = buffer.get_mut(read..).unwrap_or_default();
            offset += read as u64;
        }
        Ok(())
    }

    pub(super) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = file.seek_write(bytes, offset)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(written..).unwrap_or_default();
            offset += written as u64;
        }
        Ok(())
    }
}
