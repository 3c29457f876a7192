//! A disk in memory with injected faults; on a power cut it loses or tears unsynchronised writes.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;
use sdk_relay_store::Medium;

/// Operation that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A write, or a new length: half of it is done.
    Write,
    Sync,
}

/// When it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The n-th of these operations fails, once.
    Once(Operation, u64),
    /// From the n-th of these operations on everything fails: the power is cut.
    PowerCut(Operation, u64),
    /// It is full: only allocated pages can be written.
    Full,
}

/// Fate of unsynchronised writes on a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsynced {
    Lost,
    Kept,
    /// Of each write, a random part is on the disk: all, some sectors, or nothing.
    Torn(u64),
}

#[derive(Clone, Debug)]
enum Pending {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Debug, Default)]
struct State {
    durable: Vec<u8>,
    pending: Vec<Pending>,
    /// The visible content: everything that was written.
    current: Vec<u8>,
    /// Pages that were ever written; the others are holes.
    allocated: BTreeSet<u64>,
    fault: Option<Fault>,
    writes: u64,
    syncs: u64,
    is_off: bool,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// With an empty database, as the store creates it under a temporary name.
    pub(crate) fn made() -> Self {
        Self::holding(|_| {})
    }

    /// With the data that `write` writes into an empty database.
    pub(crate) fn holding(write: impl FnOnce(&redb::Database)) -> Self {
        let disk = Self::default();
        write(&disk.database());
        let mut state = disk.state();
        (state.writes, state.syncs) = (0, 0);
        drop(state);
        disk
    }

    /// The database, opened directly with redb.
    pub(crate) fn database(&self) -> redb::Database {
        let database = redb::Database::builder().create_with_backend(Self(Arc::clone(&self.0)));
        database.expect("a database")
    }

    pub(crate) fn with(fault: Fault) -> Self {
        let disk = Self::made();
        disk.set(Some(fault));
        disk
    }

    pub(crate) fn set(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// Writes and syncs so far.
    pub(crate) fn counted(&self) -> (u64, u64) {
        let state = self.state();
        (state.writes, state.syncs)
    }

    pub(crate) fn is_off(&self) -> bool {
        self.state().is_off
    }

    /// The disk after a power cut; it works from now on.
    pub(crate) fn after_power_cut(&self, unsynced: Unsynced) -> Self {
        let state = self.state();
        let mut bytes = state.durable.clone();
        let mut seed = match unsynced {
            Unsynced::Torn(seed) => seed | 1,
            _ => 1,
        };
        for pending in &state.pending {
            let fate = match unsynced {
                Unsynced::Lost => 0,
                Unsynced::Kept => 1,
                Unsynced::Torn(_) => next(&mut seed) % 3,
            };
            match (pending, fate) {
                (_, 0) => {}
                (Pending::Length(length), _) => bytes.resize(*length as usize, 0),
                (Pending::Write(offset, data), 1) => put(&mut bytes, *offset, data),
                (Pending::Write(offset, data), _) => {
                    for (sector, data) in data.chunks(SECTOR).enumerate() {
                        if next(&mut seed).is_multiple_of(2) {
                            put(&mut bytes, offset + (sector * SECTOR) as u64, data);
                        }
                    }
                }
            }
        }
        Self(Arc::new(Mutex::new(State {
            durable: bytes.clone(),
            current: bytes,
            ..State::default()
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no operation panics")
    }
}

/// Sectors are written atomically.
const SECTOR: usize = 512;
/// A file system allocates pages.
const PAGE: u64 = 4096;

/// xorshift64: the same tears with the same seed.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

fn put(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + data.len());
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(data);
}

fn failed(what: &str) -> io::Error {
    io::Error::other(format!("the test's disk fails: {what}"))
}

impl State {
    /// Whether this operation fails.
    fn fails(&mut self, operation: Operation) -> bool {
        let count = match operation {
            Operation::Write => {
                self.writes += 1;
                self.writes
            }
            Operation::Sync => {
                self.syncs += 1;
                self.syncs
            }
        };
        match self.fault {
            Some(Fault::Once(of, n)) => of == operation && n == count,
            Some(Fault::PowerCut(of, n)) => {
                self.is_off |= of == operation && n == count;
                self.is_off
            }
            _ => self.is_off,
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        put(&mut self.current, offset, data);
        self.allocated
            .extend(offset / PAGE..(offset + data.len() as u64).div_ceil(PAGE));
        self.pending.push(Pending::Write(offset, data.to_vec()));
    }
}

impl Medium for Disk {
    fn open(&self, _create: bool) -> io::Result<Box<dyn StorageBackend>> {
        match self.state().is_off {
            true => Err(failed("it is off")),
            false => Ok(Box::new(Self(Arc::clone(&self.0)))),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        if state.is_off {
            return Err(failed("it is off"));
        }
        let from = offset as usize;
        let bytes = state.current.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        if state.fails(Operation::Write) {
            return Err(failed("a new length"));
        }
        state.current.resize(len as usize, 0);
        state.pending.push(Pending::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.fails(Operation::Sync) {
            return Err(failed("a sync"));
        }
        for pending in std::mem::take(&mut state.pending) {
            match pending {
                Pending::Length(length) => state.durable.resize(length as usize, 0),
                Pending::Write(offset, data) => put(&mut state.durable, offset, &data),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        if state.fails(Operation::Write) {
            let half = &data[..data.len() / 2];
            state.write(offset, half);
            return Err(failed("a write"));
        }
        let mut pages = offset / PAGE..(offset + data.len() as u64).div_ceil(PAGE);
        if state.fault == Some(Fault::Full) && pages.any(|page| !state.allocated.contains(&page)) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.write(offset, data);
        Ok(())
    }
}
