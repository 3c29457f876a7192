//! How connections talk with detection, and detection with connections.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bitcoin::ScriptBuf;
use sdk_relay_bip352::{Match, Receiver};
use sdk_relay_protocol::Event;
use tokio::sync::{mpsc, oneshot};

use super::history::Stretch;
use super::past::{HELD, Outlook, Standing};
use super::rows::Row;
use crate::hub::Frame;

/// Commands that wait for detection. They are few and small; a connection whose command finds the queue full waits.
const COMMANDS_AHEAD: usize = 256;

/// Payments that wait for one connection. A block can hold many for a busy wallet; a client that has not read this many is too slow.
const MAILBOX_FRAMES: usize = 4096;

/// Detection, as connections see it.
#[derive(Clone, Debug)]
pub struct Detection {
    commands: mpsc::Sender<Command>,
}

/// Keys to watch for, and where to tell of them.
#[derive(Debug)]
pub struct WatchOrder {
    /// Scan key, spend key, labels.
    pub receiver: Receiver,
    /// The address of each label; `None` is the plain one.
    pub addresses: HashMap<Option<u32>, String>,
    /// Whose watch it is.
    pub mailbox: Mailbox,
    /// The blocks of the past that are to be scanned.
    pub history: Option<Heights>,
}

/// A range of heights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heights {
    /// The first.
    pub from: u32,
    /// The last; `None`: the tip.
    pub to: Option<u32>,
}

/// A watch that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its name.
    pub watch_id: String,
    /// What becomes of its history.
    pub history: Outlook,
}

/// Why a watch is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchRefused {
    /// The relay holds as many as it may.
    #[error("this relay holds as many watches as it may: try another relay, or later")]
    Full,
    /// Detection is ending.
    #[error("the relay is shutting down")]
    Ending,
}

pub(super) enum Command {
    Watch(Box<WatchOrder>, oneshot::Sender<Result<Registered, WatchRefused>>),
    Unwatch {
        watch_id: String,
    },
    /// Nobody reads this mailbox any more.
    Left(Mailbox),
    /// What a new watch was found to have in the mempool.
    Matched {
        watch_id: String,
        matches: Vec<(Arc<Row>, Vec<Match>)>,
    },
    /// What a scan of the past has brought, for several watches.
    Past(Vec<Stretch>, oneshot::Sender<Vec<Standing>>),
    /// Events of the mesh; they are numbered and logged like all others.
    Log(Box<Event>),
    WalletScripts(HashSet<ScriptBuf>),
}

impl Detection {
    pub(super) fn channel() -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(COMMANDS_AHEAD);
        (Self { commands }, receiver)
    }

    /// Registers a watch.
    pub async fn watch(&self, order: WatchOrder) -> Result<Registered, WatchRefused> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Watch(Box::new(order), reply)).await;
        answer.await.unwrap_or(Err(WatchRefused::Ending))
    }

    /// Ends a watch; its keys are wiped.
    pub async fn unwatch(&self, watch_id: String) {
        self.send(Command::Unwatch { watch_id }).await;
    }

    /// Ends all watches of a connection.
    pub async fn leave(&self, mailbox: Mailbox) {
        self.send(Command::Left(mailbox)).await;
    }

    /// Logs an event of the mesh and tells it to every subscriber.
    pub async fn log(&self, event: Event) {
        self.send(Command::Log(Box::new(event))).await;
    }

    /// Replaces the set of the node wallet's scripts.
    pub async fn wallet_scripts(&self, scripts: HashSet<ScriptBuf>) {
        self.send(Command::WalletScripts(scripts)).await;
    }

    pub(super) async fn matched(&self, watch_id: String, matches: Vec<(Arc<Row>, Vec<Match>)>) {
        self.send(Command::Matched { watch_id, matches }).await;
    }

    /// Tells of the past, and learns where each scan goes on.
    pub(super) async fn past(&self, stretches: Vec<Stretch>) -> Vec<Standing> {
        let (reply, answer) = oneshot::channel();
        let scans = stretches.len();
        self.send(Command::Past(stretches, reply)).await;
        answer.await.unwrap_or_else(|_| vec![Standing::Done; scans])
    }

    async fn send(&self, command: Command) {
        #[expect(
            clippy::let_underscore_must_use,
            reason = "without a receiver the relay is ending, and so is whoever asks"
        )]
        let _ = self.commands.send(command).await;
    }
}

/// Where detection leaves a connection's payments.
#[derive(Clone, Debug)]
pub struct Mailbox {
    frames: mpsc::Sender<Frame>,
    overflowed: Arc<AtomicBool>,
}

/// The connection's end of its mailbox.
#[derive(Debug)]
pub struct MailboxReceiver {
    frames: mpsc::Receiver<Frame>,
    overflowed: Arc<AtomicBool>,
}

/// A mailbox. When it is full, it overflows: nothing more goes in, and the connection is to be closed with 1013.
pub fn mailbox() -> (Mailbox, MailboxReceiver) {
    let (sender, receiver) = mpsc::channel(MAILBOX_FRAMES);
    let overflowed = Arc::new(AtomicBool::new(false));
    (
        Mailbox {
            frames: sender,
            overflowed: Arc::clone(&overflowed),
        },
        MailboxReceiver {
            frames: receiver,
            overflowed,
        },
    )
}

impl Mailbox {
    pub(super) fn post(&self, frame: Frame) {
        if self.overflowed.load(Ordering::Acquire) {
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(_)) = self.frames.try_send(frame) {
            self.overflowed.store(true, Ordering::Release);
        }
    }

    /// Whether a scan may leave payments here: at least half of it is free.
    pub(super) fn has_room(&self) -> bool {
        self.frames.capacity() >= MAILBOX_FRAMES / 2
    }

    /// How many payments a scan may leave, beside the live news that may come at its end.
    pub(super) fn room(&self) -> usize {
        self.frames.capacity().saturating_sub(HELD + 64)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.frames.is_closed() || self.overflowed.load(Ordering::Acquire)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.frames.same_channel(&other.frames)
    }
}

impl MailboxReceiver {
    /// The next payment. `None` when the mailbox has overflowed: what it holds is not all, and the client must start anew.
    pub async fn next(&mut self) -> Option<Frame> {
        if self.overflowed.load(Ordering::Acquire) {
            return None;
        }
        self.frames.recv().await
    }

    /// Another one, if it is there already.
    pub fn try_next(&mut self) -> Option<Frame> {
        self.frames.try_recv().ok()
    }
}
