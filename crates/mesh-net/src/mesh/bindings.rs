//! Which key a name is bound to: bound once a link has lasted, kept across restarts, and rejected for other keys.
//!
//! The table in memory is authoritative; [`Bindings::write`] appends to the file and syncs it. It blocks: call it
//! outside the runtime's threads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sdk_relay_files::{Open, open_regular, replace};
use sdk_relay_telemetry::clock::unix_now;

use crate::sync::is_relay_id;

/// Name of the file in the data directory: lines `NAME KEY SECOND`, with the second at which the name was last seen.
/// The last line of a name is valid.
pub const NAMES_FILE: &str = "mesh.names";
/// Most names. As many as relays of the mesh.
const KEPT: usize = 4096;
/// A name that was not used for this long may be replaced in a full table. Younger ones are replaced for configured
/// relays only, so that a flood of new names evicts no other.
const UNSEEN: u64 = 30 * 86_400;
/// A name that is used again within this time is not written again.
const WRITE_EVERY: u64 = 86_400;
/// New names of one address (IPv6: of one /64) in an hour. One machine runs one relay, a home network a few.
const NAMES_PER_ADDRESS: usize = 4;
/// New names in an hour, of all addresses: a table of [`KEPT`] takes at least a day and a half to fill.
const NAMES_PER_HOUR: usize = 100;
const HOUR: u64 = 3600;
/// Superseded lines in addition to the number of names, after which the file is rewritten.
const MORE_LINES: usize = 256;

/// The table.
#[derive(Debug)]
pub(super) struct Bindings {
    path: PathBuf,
    /// Keys of `mesh.peers`: the names that they use are bound to them, even if they were bound to other keys.
    pinned: BTreeSet<String>,
    state: Mutex<State>,
    /// Held while the file is written.
    writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<String, Bound>,
    /// Networks that bound names within the last hour.
    recent: VecDeque<(u64, IpAddr)>,
    /// Lines to append to the file.
    unwritten: Vec<String>,
    /// Number of lines of the file; `None` if it has to be rewritten.
    lines: Option<usize>,
    /// The last write failed, and was reported.
    fails: bool,
}

#[derive(Debug)]
struct Bound {
    key: String,
    seen: u64,
}

/// Where the relay with a name connected from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// An address of `mesh.peers`.
    Configured,
    /// This network (see `network_of`).
    Network(IpAddr),
}

/// Why a name is rejected, or not bound yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameRefused {
    /// It is bound to another key.
    #[error("relay_id: this name belongs to another key")]
    Taken,
    /// The table is full.
    #[error("relay_id: this relay has reached its limit of names")]
    Full,
    /// Too many new names, from this address or in total.
    #[error("relay_id: too many new names within an hour")]
    TooMany,
}

impl Bindings {
    /// Reads the table of this data directory. Lines that cannot be parsed are ignored.
    pub(super) fn open(data_dir: &Path, pinned: BTreeSet<String>) -> std::io::Result<Self> {
        let path = data_dir.join(NAMES_FILE);
        let mut bytes = Vec::new();
        match open_regular(&path).and_then(|mut file| file.read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        let text = String::from_utf8_lossy(&bytes);
        let mut names = BTreeMap::new();
        let (mut lines, mut readable) = (0, true);
        for line in text.lines() {
            lines += 1;
            match parse(line) {
                Some((name, bound)) if names.len() < KEPT || names.contains_key(&name) => _ = names.insert(name, bound),
                _ => readable = false,
            }
        }
        // A line that a power cut has truncated must not be joined with the next one.
        let whole = readable && (text.is_empty() || text.ends_with('\n'));
        if !readable {
            tracing::warn!(file = %path.display(), "ignoring lines of mesh.names that cannot be parsed");
        }
        Ok(Self {
            path,
            pinned,
            state: Mutex::new(State {
                names,
                lines: whole.then_some(lines),
                ..State::default()
            }),
            writing: Mutex::default(),
        })
    }

    /// The key to which a name is bound.
    pub(super) fn key_of(&self, name: &str) -> Option<String> {
        self.state().names.get(name).map(|bound| bound.key.clone())
    }

    /// Whether a relay that has proven this key may use this name. If the key is one of `mesh.peers`, the name is bound
    /// to it immediately.
    pub(super) fn admit(&self, name: &str, key: &str) -> Result<(), NameRefused> {
        let now = unix_now();
        if self.pinned.contains(key) {
            return self.bind_at(now, name, key, Origin::Configured);
        }
        let mut state = self.state();
        match state.names.get(name) {
            Some(bound) if bound.key != key => Err(NameRefused::Taken),
            Some(_) => {
                state.seen(now, name);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Binds a name to a key whose link has lasted.
    pub(super) fn bind(&self, name: &str, key: &str, origin: Origin) -> Result<(), NameRefused> {
        self.bind_at(unix_now(), name, key, origin)
    }

    fn bind_at(&self, now: u64, name: &str, key: &str, origin: Origin) -> Result<(), NameRefused> {
        let mut state = self.state();
        let pinned = self.pinned.contains(key);
        match state.names.get(name) {
            Some(bound) if bound.key == key => {
                state.seen(now, name);
                return Ok(());
            }
            Some(bound) if !pinned || self.pinned.contains(&bound.key) => return Err(NameRefused::Taken),
            Some(_) => {
                tracing::warn!(
                    relay = name,
                    "the name of a relay in mesh.peers was bound to another key; binding it to the configured key"
                );
            }
            None => {
                let configured = pinned || origin == Origin::Configured;
                if let (Origin::Network(network), false) = (origin, configured) {
                    state.count(now, network)?;
                }
                if state.names.len() >= KEPT {
                    let oldest = state.oldest(&self.pinned);
                    let oldest = oldest.filter(|(_, seen)| configured || now.saturating_sub(*seen) > UNSEEN);
                    let (oldest, _) = oldest.ok_or(NameRefused::Full)?;
                    state.names.remove(&oldest);
                    state.lines = None;
                }
                if let (Origin::Network(network), false) = (origin, configured) {
                    state.recent.push_back((now, network));
                }
            }
        }
        let bound = Bound {
            key: key.to_owned(),
            seen: now,
        };
        state.unwritten.push(line(name, &bound));
        state.names.insert(name.to_owned(), bound);
        Ok(())
    }

    /// Whether [`Bindings::write`] has something to write, or failed last time.
    pub(super) fn is_unwritten(&self) -> bool {
        let state = self.state();
        state.fails || !state.unwritten.is_empty()
    }

    /// Appends new names and syncs the file. It blocks. After a failure, the next call writes the whole file.
    pub(super) fn write(&self) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (text, lines, whole_file) = {
            let mut state = self.state();
            let new = std::mem::take(&mut state.unwritten);
            let most = state.names.len() * 2 + MORE_LINES;
            match state.lines.filter(|lines| lines + new.len() <= most) {
                Some(lines) => (new.concat(), lines + new.len(), false),
                None => (state.whole(), state.names.len(), true),
            }
        };
        let written = match whole_file {
            true => replace(&self.path, text.as_bytes()),
            false => self.append(&text),
        };
        let mut state = self.state();
        state.lines = written.is_ok().then_some(lines);
        match written {
            Ok(()) => state.fails = false,
            Err(error) => {
                // The next call writes the whole file.
                if !std::mem::replace(&mut state.fails, true) {
                    tracing::error!(%error, file = %self.path.display(), "cannot write mesh.names: check the disk of data_dir");
                }
            }
        }
    }

    fn append(&self, text: &str) -> std::io::Result<()> {
        let mut file = Open::appending().or_create().open(&self.path)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A bound name was used again.
    fn seen(&mut self, now: u64, name: &str) {
        let Some(bound) = self.names.get_mut(name) else { return };
        if now.saturating_sub(bound.seen) >= WRITE_EVERY {
            bound.seen = now;
            self.unwritten.push(line(name, bound));
        }
    }

    /// Whether this network may bind one more name.
    fn count(&mut self, now: u64, network: IpAddr) -> Result<(), NameRefused> {
        self.recent.retain(|(at, _)| now.saturating_sub(*at) < HOUR);
        let of_it = self.recent.iter().filter(|(_, other)| *other == network).count();
        match of_it >= NAMES_PER_ADDRESS || self.recent.len() >= NAMES_PER_HOUR {
            true => Err(NameRefused::TooMany),
            false => Ok(()),
        }
    }

    fn oldest(&self, pinned: &BTreeSet<String>) -> Option<(String, u64)> {
        let others = self.names.iter().filter(|(_, bound)| !pinned.contains(&bound.key));
        let oldest = others.min_by_key(|(_, bound)| bound.seen);
        oldest.map(|(name, bound)| (name.clone(), bound.seen))
    }

    fn whole(&self) -> String {
        self.names.iter().map(|(name, bound)| line(name, bound)).collect()
    }
}

fn line(name: &str, Bound { key, seen }: &Bound) -> String {
    format!("{name} {key} {seen}\n")
}

fn parse(line: &str) -> Option<(String, Bound)> {
    let mut words = line.split(' ');
    let (name, key, seen) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
    let is_key = key.len() == 64 && key.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let bound = Bound {
        key: key.to_owned(),
        seen,
    };
    (is_relay_id(name) && is_key && words.next().is_none()).then(|| (name.to_owned(), bound))
}

#[cfg(test)]
mod tests;
