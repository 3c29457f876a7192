//! The disk of a simulation: files in memory, power cuts, and faults.

mod inode;
mod tree;

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::metadata::Metadata;
use crate::options::Open;

pub(crate) use inode::Inode;
pub(crate) use tree::SharedInode;
use tree::Tree;

thread_local! {
    static MOUNTED: RefCell<Option<Disk>> = const { RefCell::new(None) };
}

/// What is done to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Opens or creates a file.
    Open,
    /// Reads from a file, or the names in a directory.
    Read,
    /// Writes to a file, or changes its size.
    Write,
    /// Makes a file or the names in a directory durable.
    Sync,
    /// Creates a directory, renames or removes a file.
    Name,
}

/// Decides for each operation at a path whether it fails.
pub type Fault = Box<dyn FnMut(Operation, &Path) -> Option<io::Error> + Send>;

/// A disk in memory. Clones are handles to the same one.
#[derive(Clone)]
pub struct Disk(Arc<Shared>);

struct Shared {
    tree: Mutex<Tree>,
    fault: Mutex<Option<Fault>>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").finish_non_exhaustive()
    }
}

/// Unmounts the disk of its thread when it is dropped.
#[derive(Debug)]
#[must_use = "the disk is mounted while it lives"]
pub struct Mounted(std::marker::PhantomData<*const ()>);

impl Drop for Mounted {
    fn drop(&mut self) {
        MOUNTED.take();
    }
}

/// The disk of this thread's simulation.
pub(crate) fn mounted() -> Option<Disk> {
    MOUNTED.with_borrow(Clone::clone)
}

impl Default for Disk {
    /// An empty disk.
    fn default() -> Self {
        Self::with(Tree::default())
    }
}

impl Disk {
    fn with(tree: Tree) -> Self {
        Self(Arc::new(Shared {
            tree: Mutex::new(tree),
            fault: Mutex::new(None),
        }))
    }

    /// All files of this thread are on this disk until the guard is dropped.
    ///
    /// Panics where this thread has mounted a disk already.
    pub fn mount(&self) -> Mounted {
        let before = MOUNTED.replace(Some(self.clone()));
        assert!(before.is_none(), "this thread has mounted a disk already");
        Mounted(std::marker::PhantomData)
    }

    /// Later operations fail as this decides; `None` ends the faults.
    pub fn set_fault(&self, fault: Option<Fault>) {
        *self.0.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// The disk after a power cut. What was synchronised is there; of the rest, each sector that was written, each new
    /// size and each changed name is there if `survives` says so. Open files of this disk do not change the new one.
    pub fn after_power_cut(&self, survives: &mut dyn FnMut() -> bool) -> Self {
        Self::with(self.tree().after_power_cut(survives))
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.0.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn check(&self, operation: Operation, path: &Path) -> io::Result<()> {
        let mut fault = self.0.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match fault.as_mut().and_then(|fault| fault(operation, path)) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    pub(crate) fn inode(&self, path: &Path, options: Open) -> io::Result<SharedInode> {
        self.check(Operation::Open, path)?;
        self.tree().open(path, options)
    }

    pub(crate) fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.tree().metadata(path)
    }

    pub(crate) fn entries(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        self.check(Operation::Read, directory)?;
        self.tree().entries(directory)
    }

    pub(crate) fn create_directories(&self, path: &Path) -> io::Result<()> {
        self.check(Operation::Name, path)?;
        self.tree().create_directories(path)
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check(Operation::Name, from)?;
        self.tree().rename(from, to)
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.check(Operation::Name, path)?;
        self.tree().remove(path)
    }

    pub(crate) fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.check(Operation::Sync, directory)?;
        self.tree().sync_directory(directory)
    }
}

#[cfg(test)]
mod tests;
