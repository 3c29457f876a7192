//! The positions of the endpoints in the log, in a file that is replaced as a whole.
//!
//! ```json
//! {"format":1,"log_id":"5b1d0a3c9e7f2468","endpoints":{"shop":{"after":4711,"hole":0}}}
//! ```
//!
//! `log_id` is part of the id of each message, so that an endpoint of two relays can tell their messages apart. It is a
//! new one when the log is an older one than before (restored from a backup). The position of an endpoint that is no
//! longer configured is kept, so that an endpoint that is missing in one configuration loses nothing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sdk_relay_files::{is_absent, read_text, reason, replace};
use sdk_relay_platform::{blocking, clock};
use sdk_relay_protocol::http::{WebhookDisabled, WebhookReplay};
use sdk_relay_service::data_files::WEBHOOKS_FILE;
use sdk_relay_store::StoreError;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::gap::{Gap, Reason};
use crate::message::random_id;
use crate::source::EventSource;

/// Format that this program writes.
const FORMAT: u32 = 1;
/// Largest file: the most positions that are kept have about 100 KB.
const MOST_BYTES: u64 = 1 << 20;
/// Most positions that are kept: four times as many as there may be webhooks. Beyond that, those of removed webhooks
/// that are furthest behind go.
const MOST_KEPT: usize = 256;
/// Interval between two attempts to write the file.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// The files of this process, and the lock of their writers. After a restart of the relay, a write of the relay before
/// may still be in progress: it must not replace what its successor has written.
static OPENED: Mutex<BTreeMap<PathBuf, Opened>> = Mutex::new(BTreeMap::new());

#[derive(Clone, Copy, Default)]
struct Opened {
    /// How often.
    times: u64,
    /// Number of the newest change that is in it, since it was last opened.
    written: u64,
}

/// Why the positions cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read or written.
    #[error("cannot use the positions of the webhooks: {0}")]
    File(io::Error),
    /// The file is damaged, or that of another program.
    #[error(
        "the positions of the webhooks in {path} cannot be read ({reason}): restore the file from a backup, or move it away and start the \
         relay; the webhooks then continue with the next event, and POST /webhooks/NAME/replay sends those before it"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The error of the parser.
        reason: String,
    },
    /// The file was written by a newer program.
    #[error(
        "the positions of the webhooks in {path} have format {found}; this program reads format {FORMAT}: use a newer program"
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Format of the file.
        found: u32,
    },
    /// The event log cannot be read.
    #[error("cannot find the positions of the webhooks: {0}")]
    Log(#[from] StoreError),
}

/// Position of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Each event up to this one was delivered, or is not of the types of the endpoint.
    pub(crate) after: u64,
    /// The newest hole of the log that the endpoint knows: the first event after it.
    pub(crate) hole: u64,
    /// What is to be reported next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gap: Option<Gap>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replay: Option<WebhookReplay>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) disabled: Option<WebhookDisabled>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Content {
    format: u32,
    log_id: String,
    endpoints: BTreeMap<String, Position>,
}

/// The positions, and their file.
#[derive(Debug)]
pub(crate) struct Positions {
    path: PathBuf,
    /// Its number in [`OPENED`].
    opened: u64,
    content: Mutex<Content>,
    /// Number of the newest change, and of the newest one that is durable.
    changed: watch::Sender<u64>,
    saved: watch::Sender<u64>,
    /// Why the file cannot be written.
    failure: Mutex<Option<String>>,
}

impl Positions {
    /// Reads the file, or creates it. A new endpoint begins after the newest event. When this returns, the position of
    /// each of these endpoints is durable.
    pub(crate) fn open(data_dir: &Path, names: &[&str], source: &dyn EventSource) -> Result<Self, OpenError> {
        let path = data_dir.join(WEBHOOKS_FILE);
        let mut all = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = all.get(&path).map_or(0, |before| before.times) + 1;
        let new = Opened {
            times: opened,
            ..Opened::default()
        };
        all.insert(path.clone(), new);
        let newest = *source.head().borrow();
        let hole = source.hole_before()?;
        let mut content = match is_absent(&path).map_err(OpenError::File)? {
            true => Content {
                format: FORMAT,
                log_id: random_id(),
                endpoints: BTreeMap::new(),
            },
            false => read(&path)?,
        };
        if content.endpoints.values().any(|position| position.after > newest) {
            content.replace_log(newest, source.oldest()?, hole);
        }
        for name in names {
            let new = || {
                tracing::info!(
                    webhook = name,
                    after_event = newest,
                    "a new webhook begins with the next event"
                );
                Position {
                    after: newest,
                    hole,
                    ..Position::default()
                }
            };
            content.endpoints.entry((*name).to_owned()).or_insert_with(new);
        }
        content.forget_removed(names);
        encode(&content)
            .and_then(|text| replace(&path, &text))
            .map_err(OpenError::File)?;
        Ok(Self {
            path,
            opened,
            content: Mutex::new(content),
            changed: watch::Sender::new(0),
            saved: watch::Sender::new(0),
            failure: Mutex::default(),
        })
    }

    /// Part of the ids of messages.
    pub(crate) fn log_id(&self) -> String {
        self.content().log_id.clone()
    }

    pub(crate) fn of(&self, name: &str) -> Position {
        self.content().endpoints.get(name).cloned().unwrap_or_default()
    }

    /// Changes a position, and returns the number of the change, for [`Self::saved`].
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Position)) -> u64 {
        let changed = self.try_change(name, |position| {
            change(position);
            Ok::<_, Infallible>(())
        });
        match changed {
            Ok(number) => number,
            Err(never) => match never {},
        }
    }

    /// The same, unless `change` refuses it, which sees what it changes. It changes nothing then.
    pub(crate) fn try_change<E>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Position) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut content = self.content();
        change(content.endpoints.entry(name.to_owned()).or_default())?;
        // Within the lock: the number is not above what a snapshot has.
        let mut number = 0;
        self.changed.send_modify(|newest| {
            *newest += 1;
            number = *newest;
        });
        Ok(number)
    }

    /// Waits until this change is durable.
    pub(crate) async fn saved(&self, number: u64) {
        let mut saved = self.saved.subscribe();
        // The sender is a field.
        drop(saved.wait_for(|saved| *saved >= number).await);
    }

    /// Writes the changes, several of them together where they come faster than the disk. Runs until it is dropped.
    pub(crate) async fn save_changes(&self) {
        let mut changed = self.changed.subscribe();
        loop {
            let saved = *self.saved.borrow();
            if changed.wait_for(|number| *number > saved).await.is_err() {
                return;
            }
            let snapshot = self.snapshot();
            let number = snapshot.number;
            let written = blocking::spawn(move || snapshot.write())
                .await
                .unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
            match written {
                Ok(()) => {
                    self.saved.send_replace(number);
                    if self.failure().take().is_some() {
                        tracing::info!("the positions of the webhooks can be written again");
                    }
                }
                Err(error) => {
                    if self.failure().replace(reason(&error).to_string()).is_none() {
                        tracing::error!(%error, "cannot write the positions of the webhooks, which wait: check the disk of data_dir");
                    }
                    sleep(WRITE_AGAIN).await;
                }
            }
        }
    }

    /// Writes the changes that are not written yet, when nothing else does any more. Blocks.
    pub(crate) fn save(&self) -> io::Result<()> {
        let snapshot = self.snapshot();
        let number = snapshot.number;
        if number > *self.saved.borrow() {
            snapshot.write()?;
            self.saved.send_replace(number);
        }
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        let content = self.content();
        Snapshot {
            number: *self.changed.borrow(),
            content: content.clone(),
            path: self.path.clone(),
            opened: self.opened,
        }
    }

    /// A problem for the operator.
    pub(crate) fn problem(&self) -> Option<String> {
        let reason = self.failure().clone()?;
        Some(format!(
            "{WEBHOOKS_FILE} cannot be written ({reason}), so the webhooks wait: check the disk of data_dir"
        ))
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self) -> MutexGuard<'_, Option<String>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be written.
struct Snapshot {
    /// Number of the newest change that it has.
    number: u64,
    content: Content,
    path: PathBuf,
    opened: u64,
}

impl Snapshot {
    /// Writes it, unless the file has a newer one.
    fn write(&self) -> io::Result<()> {
        let mut all = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        let is_newer = |file: &&mut Opened| file.times == self.opened && file.written < self.number;
        if let Some(file) = all.get_mut(&self.path).filter(is_newer) {
            replace(&self.path, &encode(&self.content)?)?;
            file.written = self.number;
        }
        Ok(())
    }
}

impl Position {
    /// Skips the events up to this one, and a gap before the next one; its own position skips the gap that waits there,
    /// with all that it covers.
    pub(crate) fn skip(&mut self, after: u64) {
        let is_own = after == self.after;
        let is_covered = |gap: &mut Gap| is_own || gap.next <= after.saturating_add(1);
        if let Some(gap) = self.gap.take_if(is_covered) {
            self.hole = self.hole.max(gap.hole);
            self.after = self.after.max(gap.next.saturating_sub(1));
        } else if after > self.after {
            // The rest of it is another gap.
            self.gap = None;
        }
        self.after = self.after.max(after);
    }
}

impl Content {
    /// The log is an older one, or a new one with lower ids: all endpoints continue with its oldest event after a gap.
    /// None keeps its position, also if it is in this log, because events with the same ids may be others.
    fn replace_log(&mut self, newest: u64, oldest: u64, hole: u64) {
        tracing::warn!(
            newest_event = newest,
            "the event log is an older one than the webhooks have seen: they continue with its oldest event, after a message of type gap"
        );
        self.log_id = random_id();
        for position in self.endpoints.values_mut() {
            position.replay = None;
            position.gap = Some(Gap {
                after: position.after,
                next: oldest,
                hole,
                reason: Reason::LogReplaced,
                noticed: clock::unix_now(),
            });
            position.after = oldest.saturating_sub(1);
            // That of the other log may be above each of this one.
            position.hole = hole;
        }
    }

    fn forget_removed(&mut self, names: &[&str]) {
        while self.endpoints.len() > MOST_KEPT {
            let removed = self
                .endpoints
                .iter()
                .filter(|(name, _)| !names.contains(&name.as_str()));
            let Some(name) = removed
                .min_by_key(|(_, position)| position.after)
                .map(|(name, _)| name.clone())
            else {
                return;
            };
            tracing::warn!(
                webhook = name,
                "forgetting the position of a webhook that is not configured any more"
            );
            self.endpoints.remove(&name);
        }
    }
}

fn encode(content: &Content) -> io::Result<Vec<u8>> {
    let mut text = sdk_relay_protocol::encode(content).map_err(io::Error::other)?;
    text.push(b'\n');
    Ok(text)
}

fn read(path: &Path) -> Result<Content, OpenError> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let damaged = |error: serde_json::Error| OpenError::Damaged {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let text = read_text(path, MOST_BYTES).map_err(OpenError::File)?;
    let Format { format } = serde_json::from_str(&text).map_err(damaged)?;
    if format > FORMAT {
        return Err(OpenError::NewerFormat {
            path: path.to_owned(),
            found: format,
        });
    }
    serde_json::from_str(&text).map_err(damaged)
}

#[cfg(test)]
mod tests;
