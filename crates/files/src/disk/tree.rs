//! The names on a disk, as programs see them and as they are durable.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::inode::Inode;
use crate::metadata::{Kind, Metadata};
use crate::options::Open;

pub(crate) type SharedInode = Arc<Mutex<Inode>>;
type Names = BTreeMap<PathBuf, SharedInode>;

/// Directories and files, by path. Directories are durable at once.
#[derive(Debug, Default)]
pub(super) struct Tree {
    directories: BTreeSet<PathBuf>,
    names: Names,
    durable: Names,
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

impl Tree {
    fn is_directory(&self, path: &Path) -> bool {
        path.parent().is_none() || path.as_os_str().is_empty() || self.directories.contains(path)
    }

    pub(super) fn open(&mut self, path: &Path, options: Open) -> io::Result<SharedInode> {
        if self.is_directory(path) {
            return Err(ErrorKind::IsADirectory.into());
        }
        if let Some(inode) = self.names.get(path) {
            if options.create_new {
                return Err(ErrorKind::AlreadyExists.into());
            }
            if options.truncate {
                inode.lock().unwrap_or_else(PoisonError::into_inner).set_len(0);
            }
            return Ok(Arc::clone(inode));
        }
        if !(options.create || options.create_new) || !self.is_directory(&parent(path)) {
            return Err(ErrorKind::NotFound.into());
        }
        let inode = Arc::new(Mutex::new(Inode::default()));
        self.names.insert(path.to_owned(), Arc::clone(&inode));
        Ok(inode)
    }

    pub(super) fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        if self.is_directory(path) {
            return Ok(Metadata {
                kind: Kind::Directory,
                size: 0,
                mode: Some(0o700),
            });
        }
        let inode = self.names.get(path).ok_or(ErrorKind::NotFound)?;
        let inode = inode.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Metadata {
            kind: Kind::File,
            size: inode.content.len() as u64,
            mode: Some(0o600),
        })
    }

    pub(super) fn entries(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        if !self.is_directory(directory) {
            return Err(ErrorKind::NotFound.into());
        }
        let all = self.names.keys().chain(&self.directories);
        Ok(all.filter(|path| path.parent() == Some(directory)).cloned().collect())
    }

    pub(super) fn create_directories(&mut self, path: &Path) -> io::Result<()> {
        for directory in path.ancestors() {
            if self.names.contains_key(directory) {
                return Err(ErrorKind::AlreadyExists.into());
            }
        }
        self.directories.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if self.is_directory(to) {
            return Err(ErrorKind::IsADirectory.into());
        }
        if !self.is_directory(&parent(to)) {
            return Err(ErrorKind::NotFound.into());
        }
        let inode = self.names.remove(from).ok_or(ErrorKind::NotFound)?;
        self.names.insert(to.to_owned(), inode);
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.names.remove(path).map(drop).ok_or(ErrorKind::NotFound.into())
    }

    pub(super) fn sync_directory(&mut self, directory: &Path) -> io::Result<()> {
        if !self.is_directory(directory) {
            return Err(ErrorKind::NotFound.into());
        }
        let is_inside = |path: &Path| parent(path) == directory;
        self.durable.retain(|path, _| !is_inside(path));
        let inside = self.names.iter().filter(|(path, _)| is_inside(path));
        self.durable
            .extend(inside.map(|(path, inode)| (path.clone(), Arc::clone(inode))));
        Ok(())
    }

    /// The tree after a power cut: each name whose file differs from the durable one is as before, or as it is now.
    pub(super) fn after_power_cut(&self, survives: &mut dyn FnMut() -> bool) -> Self {
        let mut kept = self.durable.clone();
        let paths: BTreeSet<&PathBuf> = self.names.keys().chain(self.durable.keys()).collect();
        for path in paths {
            let (now, before) = (self.names.get(path), self.durable.get(path));
            let is_same = match (now, before) {
                (Some(now), Some(before)) => Arc::ptr_eq(now, before),
                _ => false,
            };
            if is_same || !survives() {
                continue;
            }
            match now {
                Some(inode) => drop(kept.insert(path.clone(), Arc::clone(inode))),
                None => drop(kept.remove(path)),
            }
        }
        let names: Names = kept
            .into_iter()
            .map(|(path, inode)| {
                let inode = inode.lock().unwrap_or_else(PoisonError::into_inner);
                (path, Arc::new(Mutex::new(inode.after_power_cut(survives))))
            })
            .collect();
        Self {
            directories: self.directories.clone(),
            durable: names.clone(),
            names,
        }
    }
}
