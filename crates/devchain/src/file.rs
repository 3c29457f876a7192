//! The append-only file: header, records, checksums. Its format is described in the crate documentation.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bitcoin::hashes::{Hash, HashEngine, sha256};
use sdk_relay_files::{File, Open, TryLockError};

use super::error::{DevChainError, WriteError};

const MAGIC: &[u8; 8] = b"sdkrdev\n";
const VERSION: u32 = 1;
/// Magic and version.
const HEADER: u64 = 12;
/// Kind and length.
const HEAD: usize = 5;
const CHECKSUM: usize = 4;
/// Largest payload of a record: a block of 4 MB with its prevouts, or a reorganisation of [`super::MAX_REORG`] blocks
/// with a coinbase each.
const MAX_PAYLOAD: usize = 16 << 20;
/// A child process holds our open files, and thus our locks, for a moment between `fork` and `exec`.
const LOCK_TRIES: u32 = 40;
const LOCK_AGAIN: Duration = Duration::from_millis(5);

/// Position in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) length: u32,
}

/// The chain's file, open and locked.
#[derive(Debug)]
pub(super) struct RecordFile {
    file: File,
    path: PathBuf,
    end: u64,
}

/// A read record; `place` is the position of its payload.
pub(super) struct Record<'a> {
    pub(super) kind: u8,
    pub(super) place: Place,
    pub(super) payload: &'a [u8],
}

impl RecordFile {
    /// Opens or creates the file. Reads only its header.
    pub(super) fn open(path: PathBuf) -> Result<Self, DevChainError> {
        let io = DevChainError::Io;
        let file = Open::writing().or_create().open(&path).map_err(io)?;
        lock(&file).map_err(|e| match e {
            TryLockError::WouldBlock => DevChainError::InUse(path.clone()),
            TryLockError::Error(source) => io(source),
        })?;

        let expected = [MAGIC.as_slice(), &VERSION.to_le_bytes()].concat();
        let length = file.size().map_err(io)?;
        let mut header = vec![0; length.min(HEADER) as usize];
        file.read_exact_at(&mut header, 0).map_err(io)?;
        if length < HEADER {
            // The creation was interrupted: the file contains no data, unless it is a file of another program.
            if !expected.starts_with(&header) {
                return Err(DevChainError::NotADevChain(path));
            }
            file.write_all_at(&expected, 0).map_err(io)?;
        } else if header != expected {
            return Err(match header.split_at(MAGIC.len()) {
                (magic, &[a, b, c, d]) if magic == MAGIC => DevChainError::Version {
                    found: u32::from_le_bytes([a, b, c, d]),
                    known: VERSION,
                    path,
                },
                _ => DevChainError::NotADevChain(path),
            });
        }
        Ok(Self {
            file,
            path,
            end: HEADER,
        })
    }

    /// Reads the next record. `None` at the end of the file; truncates a torn last record.
    pub(super) fn next<'a>(&mut self, buffer: &'a mut Vec<u8>) -> Result<Option<Record<'a>>, DevChainError> {
        match self.read_next(buffer) {
            Ok(Next::Record) => {
                let payload = buffer.get(HEAD..buffer.len() - CHECKSUM).unwrap_or_default();
                let place = Place {
                    offset: self.end + HEAD as u64,
                    length: payload.len() as u32,
                };
                self.end += buffer.len() as u64;
                let kind = buffer.first().copied().unwrap_or_default();
                Ok(Some(Record { kind, place, payload }))
            }
            Ok(Next::End) => Ok(None),
            Ok(Next::Torn(bytes)) => {
                tracing::warn!(file = %self.path.display(), bytes, "removed an incomplete record at the end of the file");
                self.file.set_len(self.end).map_err(DevChainError::Io)?;
                Ok(None)
            }
            Ok(Next::Damaged(reason)) => Err(self.damaged(self.end, reason)),
            Err(e) => Err(DevChainError::Io(e)),
        }
    }

    fn read_next(&self, buffer: &mut Vec<u8>) -> io::Result<Next> {
        let rest = self.file.size()?.saturating_sub(self.end);
        if rest == 0 {
            return Ok(Next::End);
        }
        if rest < HEAD as u64 {
            return Ok(Next::Torn(rest));
        }
        let mut head = [0; HEAD];
        self.file.read_exact_at(&mut head, self.end)?;
        let [_, length @ ..] = head;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_PAYLOAD {
            return Ok(Next::Damaged("a record has an invalid length"));
        }
        let whole = HEAD + length + CHECKSUM;
        if rest < whole as u64 {
            return Ok(Next::Torn(rest));
        }
        buffer.resize(whole, 0);
        self.file.read_exact_at(buffer, self.end)?;
        let (body, sum) = buffer.split_at(HEAD + length);
        if checksum(body) == sum {
            return Ok(Next::Record);
        }
        // A file system may extend a file before it writes the content.
        Ok(if rest == whole as u64 {
            Next::Torn(rest)
        } else {
            Next::Damaged("a checksum does not match")
        })
    }

    /// Writes a record in one call; returns the position of its payload. After an error the file ends as before.
    pub(super) fn append(&mut self, kind: u8, payload: &[u8]) -> Result<Place, WriteError> {
        let failed = |source| WriteError {
            path: self.path.clone(),
            source,
        };
        if payload.len() > MAX_PAYLOAD {
            return Err(failed(io::ErrorKind::FileTooLarge.into()));
        }
        let length = payload.len() as u32;
        let mut record = Vec::with_capacity(HEAD + payload.len() + CHECKSUM);
        record.push(kind);
        record.extend(length.to_le_bytes());
        record.extend(payload);
        record.extend(checksum(&record));
        if let Err(e) = self.file.write_all_at(&record, self.end) {
            if let Err(error) = self.file.set_len(self.end) {
                // A torn record remains, which the next write overwrites or the next start truncates.
                tracing::warn!(file = %self.path.display(), %error, "cannot remove an incomplete record now; retrying at the next write");
            }
            return Err(failed(e));
        }
        let offset = self.end + HEAD as u64;
        self.end += record.len() as u64;
        Ok(Place { offset, length })
    }

    /// Reads a written payload.
    pub(super) fn read(&self, place: Place) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; place.length as usize];
        self.file.read_exact_at(&mut bytes, place.offset)?;
        Ok(bytes)
    }

    /// Bytes on disk.
    pub(super) fn size(&self) -> u64 {
        self.end
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn damaged(&self, offset: u64, reason: impl Into<String>) -> DevChainError {
        DevChainError::Damaged {
            path: self.path.clone(),
            offset,
            reason: reason.into(),
        }
    }
}

fn lock(file: &File) -> Result<(), TryLockError> {
    let mut tries = 1;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if tries < LOCK_TRIES => std::thread::sleep(LOCK_AGAIN),
            done => return done,
        }
        tries += 1;
    }
}

enum Next {
    Record,
    End,
    Torn(u64),
    Damaged(&'static str),
}

/// The first four bytes of the SHA-256 of kind, length and payload.
fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
    let mut engine = sha256::Hash::engine();
    engine.input(body);
    let [a, b, c, d, ..] = sha256::Hash::from_engine(engine).to_byte_array();
    [a, b, c, d]
}
