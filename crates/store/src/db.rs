//! A redb database that is reopened after an I/O error.
//!
//! After an I/O error (a full disk, a cable) redb refuses every transaction until the database is closed and opened
//! again. [`Db`] does that at the next transaction, and retries until it succeeds: all durable data is available once
//! the fault is fixed.

use std::io;
use std::ops::{Bound, Deref};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant};

use redb::backends::FileBackend;
use redb::{BackendError, Database, ReadTransaction, ReadableDatabase, StorageBackend, WriteTransaction};
use sdk_relay_files::{File, Open, beside, check_regular, is_absent, publish, remove};
use sdk_relay_platform::clock;

/// Interval between attempts to reopen. Opening reads the whole file, and readers may request it a thousand times a
/// second.
const REOPEN_EVERY: Duration = Duration::from_millis(500);

/// Storage of a database: a file, or in tests a failing disk.
pub trait Medium: std::fmt::Debug + Send + Sync + 'static {
    /// Opens it. `create`: whether a missing one is created; otherwise it is an error.
    fn open(&self, create: bool) -> io::Result<Box<dyn StorageBackend>>;
}

/// How a database is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Cache size in bytes.
    pub(crate) cache_bytes: usize,
    /// Whether opening verifies all checksums. redb trusts a file that was closed properly, and may panic later if it
    /// was damaged since.
    pub(crate) check: bool,
}

#[derive(Debug)]
pub(crate) struct Db {
    medium: Box<dyn Medium>,
    options: Options,
    state: RwLock<State>,
    /// Held while writing or reopening: the database must not be closed during a write transaction.
    turn: Mutex<()>,
}

#[derive(Debug)]
struct State {
    /// `None` after a failed attempt to reopen.
    database: Option<Database>,
    /// Set by the first failed operation on the medium.
    failed: Arc<AtomicBool>,
    /// Time and error of the last failed attempt.
    attempt: Option<(Instant, String)>,
}

impl Db {
    /// Opens the database, or creates it.
    pub(crate) fn open(medium: Box<dyn Medium>, options: Options) -> Result<Self, redb::Error> {
        let (database, failed) = open(&*medium, options, true)?;
        Ok(Self {
            medium,
            options,
            state: RwLock::new(State {
                database: Some(database),
                failed,
                attempt: None,
            }),
            turn: Mutex::new(()),
        })
    }

    /// A snapshot of the durable state.
    pub(crate) fn begin_read(&self) -> Result<ReadTransaction, redb::Error> {
        if let Some(begun) = self.usable(Database::begin_read) {
            return Ok(begun?);
        }
        let turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            // The writer is reopening it after a failure.
            Err(TryLockError::WouldBlock) => return Err(unavailable("it is being reopened")),
        };
        self.reopen(&turn)?;
        match self.usable(Database::begin_read) {
            Some(begun) => Ok(begun?),
            None => Err(unavailable("it failed again")),
        }
    }

    /// A write transaction; its changes are durable once it is committed. One at a time: other callers wait.
    pub(crate) fn begin_write(&self) -> Result<WriteTx<'_>, redb::Error> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = match self.usable(Database::begin_write) {
            Some(begun) => Some(begun),
            None => {
                self.reopen(&turn)?;
                self.usable(Database::begin_write)
            }
        };
        match begun {
            Some(tx) => Ok(WriteTx { tx: tx?, _turn: turn }),
            None => Err(unavailable("it failed again")),
        }
    }

    /// Closes the database, calls `prepare`, and opens the file, or creates a new one. Current readers keep the old
    /// database. If `prepare` fails, the next transaction reopens the old one.
    pub(crate) fn replace<T, E>(&self, prepare: impl FnOnce() -> Result<T, E>) -> Result<Result<T, E>, redb::Error> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        drop(state.database.take());
        state.attempt = None;
        let made = prepare();
        if made.is_ok() {
            let (database, failed) = open(&*self.medium, self.options, true)?;
            (state.database, state.failed) = (Some(database), failed);
        }
        Ok(made)
    }

    /// `None` if the database has to be reopened first.
    fn usable<T>(&self, begin: impl FnOnce(&Database) -> T) -> Option<T> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let database = state
            .database
            .as_ref()
            .filter(|_| !state.failed.load(Ordering::Acquire));
        database.map(begin)
    }

    fn reopen(&self, _turn: &MutexGuard<'_, ()>) -> Result<(), redb::Error> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.database.is_some() && !state.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        if let Some((at, error)) = &state.attempt
            && at.elapsed() < REOPEN_EVERY
        {
            return Err(unavailable(error));
        }
        // Dropping closes it: a failed database writes nothing more, and its file lock is released.
        drop(state.database.take());
        match open(&*self.medium, self.options, false) {
            Ok((database, failed)) => {
                *state = State {
                    database: Some(database),
                    failed,
                    attempt: None,
                };
                Ok(())
            }
            Err(error) => {
                state.attempt = Some((clock::monotonic(), error.to_string()));
                Err(error)
            }
        }
    }
}

/// A write transaction, and the exclusive right to write.
pub(crate) struct WriteTx<'a> {
    tx: WriteTransaction,
    _turn: MutexGuard<'a, ()>,
}

impl WriteTx<'_> {
    /// Makes the changes durable. After an error they may be durable or not, which shows when the medium works again.
    pub(crate) fn commit(self) -> Result<(), redb::Error> {
        let Self { tx, _turn } = self;
        Ok(tx.commit()?)
    }
}

impl Deref for WriteTx<'_> {
    type Target = WriteTransaction;

    fn deref(&self) -> &WriteTransaction {
        &self.tx
    }
}

fn unavailable(why: &str) -> redb::Error {
    redb::Error::Io(io::Error::other(format!(
        "the database is closed after a failure: {why}"
    )))
}

fn open(medium: &dyn Medium, options: Options, create: bool) -> Result<(Database, Arc<AtomicBool>), redb::Error> {
    let inner = medium.open(create)?;
    if !create && inner.len()? == 0 {
        // Otherwise redb would create a new database in it, and the data loss would go unnoticed.
        return Err(redb::Error::Corrupted("the file is empty".to_owned()));
    }
    let failed = Arc::new(AtomicBool::new(false));
    let watched = Watched {
        inner,
        failed: Arc::clone(&failed),
    };
    let mut builder = Database::builder();
    builder
        .set_cache_size(options.cache_bytes)
        .set_check_integrity_on_open(options.check);
    // redb asserts on some damaged input. Catching the panic is safe here, because nothing is shared with the database
    // yet.
    let opened = catch_unwind(AssertUnwindSafe(|| builder.create_with_backend(watched)));
    let opened = opened.unwrap_or_else(|_| {
        let reason = "the file is not a database".to_owned();
        Err(redb::StorageError::Corrupted(reason).into())
    });
    Ok((opened?, failed))
}

/// Whether an error is about the content of a file, not about the disk.
pub(crate) fn is_damage(error: &redb::Error) -> bool {
    match error {
        redb::Error::Corrupted(_)
        | redb::Error::UpgradeRequired(_)
        // A database of another program.
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableIsMultimap(_) => true,
        redb::Error::Io(error) => matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof),
        _ => false,
    }
}

/// A database file.
#[derive(Debug)]
pub(crate) struct DatabaseFile(pub(crate) PathBuf);

impl Medium for DatabaseFile {
    fn open(&self, create: bool) -> io::Result<Box<dyn StorageBackend>> {
        match check_regular(&self.0) {
            // A database file is never empty: its data is lost, and a new database would hide that.
            Ok(file) if file.size == 0 => return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty")),
            Ok(_) => {}
            Err(error) if create && error.kind() == io::ErrorKind::NotFound => {
                // A dangling link is an error.
                is_absent(&self.0)?;
                self.make()?;
            }
            Err(error) => return Err(error),
        }
        backend(Open::writing().open(&self.0)?)
    }
}

impl DatabaseFile {
    /// Creates an empty database, atomically: redb takes a partly created one for the file of another program.
    fn make(&self) -> io::Result<()> {
        let new = beside(&self.0);
        // Left by a kill, maybe of an older version that created it with a wider mode.
        remove(&new)?;
        let file = Open::writing().create_new().open(&new)?;
        let database = Database::builder()
            .create_with_backend(Watched {
                inner: backend(file)?,
                failed: Arc::default(),
            })
            .map_err(io::Error::other)?;
        database.close().map_err(io::Error::other)?;
        publish(&new, &self.0)
    }
}

/// A file as the storage of a database.
pub(crate) fn backend(file: File) -> io::Result<Box<dyn StorageBackend>> {
    Ok(match file.into_system() {
        Ok(file) => Box::new(FileBackend::new(file).map_err(io::Error::other)?),
        Err(simulated) => Box::new(SimulatedFile(simulated)),
    })
}

/// A file of a simulated disk. Only one process uses such a disk: there are no locks.
#[derive(Debug)]
struct SimulatedFile(File);

impl StorageBackend for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }
}

/// Forwards every operation, and records the first failure.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) inner: Box<dyn StorageBackend>,
    pub(crate) failed: Arc<AtomicBool>,
}

impl Watched {
    fn note<T, E>(&self, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        result
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        self.note(self.inner.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.note(self.inner.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.note(self.inner.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.note(self.inner.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(self.inner.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.note(self.inner.close())
    }

    // An unsupported lock is no failure: redb continues without it.
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.note(self.inner.unlock_range(start, end))
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
