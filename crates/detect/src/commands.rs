//! How connections talk with detection, and detection with connections.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use bitcoin::ScriptBuf;
use sdk_relay_bip352::Receiver;
use sdk_relay_events::Frame;
use sdk_relay_protocol::Event;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::history::Stretch;
use super::past::{Outlook, Standing};
use super::scheduler::Owner;

/// Commands that wait for detection. They are few and small; a connection whose command finds the queue full waits.
const COMMANDS_AHEAD: usize = 256;

/// A `watch` is answered within this time. Detection takes a command within milliseconds, but none while a commit fails (a full disk).
const REGISTERED_WITHIN: Duration = Duration::from_secs(10);

/// Payments that wait for one connection. A block can hold many for a busy wallet; a client that has not read this many is too slow.
const MAILBOX_FRAMES: usize = 4096;

/// Payments of histories among them: a scan can wait, so that a client that does not read costs half a megabyte and not four. Live news cannot.
const HISTORY_FRAMES: usize = 512;

/// Detection, as connections see it.
#[derive(Clone, Debug)]
pub struct Detection {
    commands: mpsc::Sender<Command>,
    /// A connection has left whose command found no place: its mailbox is closed, and has to be looked for.
    left_unsaid: Arc<AtomicBool>,
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
    /// So many scans of the mempool wait for this address, or for all, that a new watch would wait for minutes.
    #[error("too many scans of the mempool for new watches are waiting: try again in a minute")]
    Busy,
    /// Detection takes no commands: events cannot be written, or the machine is overloaded.
    #[error("watches cannot be registered for now (GET /health may say why): try again in a minute")]
    Stalled,
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
    /// What a scan of the past has brought, for several watches.
    Past(Vec<Stretch>, oneshot::Sender<Vec<Standing>>),
    /// Events of the mesh; they are numbered and logged like all others.
    Log(Box<Event>),
    WalletScripts(HashSet<ScriptBuf>),
}

impl Detection {
    pub(super) fn channel() -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(COMMANDS_AHEAD);
        let detection = Self {
            commands,
            left_unsaid: Arc::default(),
        };
        (detection, receiver)
    }

    /// Registers a watch, or gives up after [`REGISTERED_WITHIN`]: detection does not register a watch whose answer nobody awaits.
    pub async fn watch(&self, order: WatchOrder) -> Result<Registered, WatchRefused> {
        let (reply, answer) = oneshot::channel();
        let registered = async {
            self.send(Command::Watch(Box::new(order), reply)).await;
            answer.await.unwrap_or(Err(WatchRefused::Ending))
        };
        timeout(REGISTERED_WITHIN, registered)
            .await
            .unwrap_or(Err(WatchRefused::Stalled))
    }

    /// Ends a watch; its keys are wiped.
    pub async fn unwatch(&self, watch_id: String) {
        self.send(Command::Unwatch { watch_id }).await;
    }

    /// Ends all watches of a connection. It does not wait: a connection that ends holds its slot for nobody.
    pub fn leave(&self, mailbox: &Mailbox) {
        mailbox.shared.closed.store(true, Ordering::Release);
        if self.commands.try_send(Command::Left(mailbox.clone())).is_err() {
            self.left_unsaid.store(true, Ordering::Release);
        }
    }

    /// Whether a connection has left without a command since this was asked last.
    pub(super) fn take_left_unsaid(&self) -> bool {
        self.left_unsaid.swap(false, Ordering::AcqRel)
    }

    /// Logs an event of the mesh and tells it to every subscriber.
    pub async fn log(&self, event: Event) {
        self.send(Command::Log(Box::new(event))).await;
    }

    /// Replaces the set of the node wallet's scripts.
    pub async fn wallet_scripts(&self, scripts: HashSet<ScriptBuf>) {
        self.send(Command::WalletScripts(scripts)).await;
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

/// Numbers mailboxes for as long as the process runs.
static MAILBOXES: AtomicU64 = AtomicU64::new(1);

/// Where detection leaves a connection's payments.
#[derive(Clone, Debug)]
pub struct Mailbox {
    frames: mpsc::Sender<Frame>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    number: Owner,
    address: IpAddr,
    /// One of [`NOT_GIVEN_UP`], [`TOO_FULL`], [`TOO_FAR_BEHIND`], [`FAILED`].
    given_up: AtomicU8,
    /// The connection has ended.
    closed: AtomicBool,
    /// The last event that the connection may see.
    barrier: watch::Sender<u64>,
}

const NOT_GIVEN_UP: u8 = 0;
const TOO_FULL: u8 = 1;
const TOO_FAR_BEHIND: u8 = 2;
const FAILED: u8 = 3;

/// The connection's end of its mailbox.
#[derive(Debug)]
pub struct MailboxReceiver {
    frames: mpsc::Receiver<Frame>,
    shared: Arc<Shared>,
    barrier: watch::Receiver<u64>,
}

/// A mailbox for a client from this address, of which all of one network (an IPv6 /64) count as one. When it is full, or detection gives it up,
/// nothing more goes in, and the connection is to be closed with 1013.
pub fn mailbox(address: IpAddr) -> (Mailbox, MailboxReceiver) {
    let (sender, receiver) = mpsc::channel(MAILBOX_FRAMES);
    let (barrier, seen) = watch::channel(u64::MAX);
    let shared = Arc::new(Shared {
        number: MAILBOXES.fetch_add(1, Ordering::Relaxed),
        address,
        given_up: AtomicU8::new(NOT_GIVEN_UP),
        closed: AtomicBool::new(false),
        barrier,
    });
    (
        Mailbox {
            frames: sender,
            shared: Arc::clone(&shared),
        },
        MailboxReceiver {
            frames: receiver,
            shared,
            barrier: seen,
        },
    )
}

impl Mailbox {
    pub(super) fn post(&self, frame: Frame) {
        if self.is_dead() {
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(_)) = self.frames.try_send(frame) {
            self.give_up(TOO_FULL);
        }
    }

    /// Whose it is.
    pub(super) fn owner(&self) -> Owner {
        self.shared.number
    }

    /// Where the client comes from.
    pub fn address(&self) -> IpAddr {
        self.shared.address
    }

    /// Lets the connection see events up to this one.
    pub(super) fn set_barrier(&self, last: u64) {
        self.shared
            .barrier
            .send_if_modified(|barrier| std::mem::replace(barrier, last) != last);
    }

    /// Its watches have more keys than can be scanned in time.
    pub(super) fn give_up_behind(&self) {
        self.give_up(TOO_FAR_BEHIND);
    }

    /// A scan for it failed.
    pub(super) fn give_up_failed(&self) {
        self.give_up(FAILED);
    }

    fn give_up(&self, reason: u8) {
        self.shared.given_up.store(reason, Ordering::Release);
        // Wakes the connection, which may wait for a frame.
        self.shared.barrier.send_modify(|_| {});
    }

    /// Whether a scan may leave payments here: half of what it may leave at most waits still.
    pub(super) fn has_room(&self) -> bool {
        self.room() >= HISTORY_FRAMES / 2
    }

    /// How many payments a scan may leave: a scan waits for a client that does not read, in place of the relay's memory.
    pub(super) fn room(&self) -> usize {
        HISTORY_FRAMES.saturating_sub(MAILBOX_FRAMES - self.frames.capacity())
    }

    pub(super) fn is_dead(&self) -> bool {
        self.frames.is_closed()
            || self.shared.closed.load(Ordering::Acquire)
            || self.shared.given_up.load(Ordering::Acquire) != NOT_GIVEN_UP
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.shared.number == other.shared.number
    }
}

impl MailboxReceiver {
    /// The next payment. `None` when the mailbox was given up: what it holds is not all, and the client must start anew.
    pub async fn next(&mut self) -> Option<Frame> {
        if self.why_given_up().is_some() {
            return None;
        }
        self.frames.recv().await
    }

    /// Another one, if it is there already.
    pub fn try_next(&mut self) -> Option<Frame> {
        self.frames.try_recv().ok()
    }

    /// The last event that the connection may see while scans for its watches are underway.
    pub fn barrier(&self) -> watch::Receiver<u64> {
        self.barrier.clone()
    }

    /// Why the connection is to be closed, for the client.
    pub fn why_given_up(&self) -> Option<&'static str> {
        match self.shared.given_up.load(Ordering::Acquire) {
            NOT_GIVEN_UP => None,
            TOO_FULL => Some("this client reads too slowly: connect again and resume"),
            TOO_FAR_BEHIND => {
                Some("the scans of your watches are too far behind: connect again with fewer watches or labels")
            }
            _ => Some("a scan for your watches failed: connect again, watch again, and resume"),
        }
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::secp256k1::{Secp256k1, SecretKey};
    use sdk_relay_bip352::ScanKey;

    use super::*;

    fn order() -> WatchOrder {
        let key = SecretKey::from_slice(&[7; 32]).expect("a scalar");
        let spend = key.public_key(&Secp256k1::new());
        WatchOrder {
            receiver: Receiver::new(ScanKey::from(key), spend, []).expect("no labels"),
            addresses: HashMap::new(),
            mailbox: mailbox(IpAddr::from([127, 0, 0, 1])).0,
            history: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_is_refused_while_detection_takes_no_commands_and_not_registered_later() {
        let (detection, mut commands) = Detection::channel();
        assert_eq!(detection.watch(order()).await, Err(WatchRefused::Stalled));
        match commands.try_recv() {
            Ok(Command::Watch(_, reply)) => assert!(reply.is_closed(), "detection would register it"),
            _ => panic!("expected the command"),
        }
        // Also where the queue is full.
        for _ in 0..COMMANDS_AHEAD {
            detection
                .commands
                .try_send(Command::WalletScripts(HashSet::new()))
                .expect("capacity");
        }
        assert_eq!(detection.watch(order()).await, Err(WatchRefused::Stalled));
    }
}
