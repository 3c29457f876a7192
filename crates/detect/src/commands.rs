//! Commands from connections to detection.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bitcoin::{ScriptBuf, Txid};
use prometheus_client::metrics::counter::Counter;
use sdk_relay_backfill::Heights;
use sdk_relay_bip352::{Prepared, Scanner};
use sdk_relay_protocol::{Event, SecretHex};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::detached::{AttachRefused, Detach, DetachedLimits, DetachedState, TokenHash, WATCH_ID_BYTES, WatchToken};
use super::failures::Failures;
use super::history_scan::{NextScan, ScannedRange};
use super::look_up::LookedUp;
use super::mailbox::{Mailbox, MailboxReceiver, Mailboxes};
use super::replacements::Replacements;
use super::unnamed::Named;
use super::watch_history::HistoryPlan;

/// Queued commands for detection. A connection has one at a time, and waits while the queue is full. Most are small;
/// the largest is a watch with 1,000 labels, about 200 KB, and clients of one address prepare one at a time.
const COMMANDS_AHEAD: usize = 256;

/// Deadline for the answer to a `watch` or `unwatch`. Detection takes a command within milliseconds, but none while a
/// commit fails (a full disk).
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// Handle of detection for connections.
#[derive(Clone, Debug)]
pub struct Detection {
    commands: mpsc::Sender<Command>,
    /// A connection has ended while the queue of commands was full: detection has to look for closed mailboxes.
    left_without_command: Arc<AtomicBool>,
    mail: Arc<Mailboxes>,
    replacements: Arc<Replacements>,
    scanner: Scanner,
    /// Requests with wrong tokens of detached watches.
    failures: Arc<Failures>,
}

/// Keys to watch, and the mailbox for their payments.
#[derive(Debug)]
pub struct WatchOrder {
    /// Scan key, spend key, labels.
    pub receiver: Prepared,
    /// The address of each label; `None` is the plain one.
    pub addresses: HashMap<Option<u32>, String>,
    /// Mailbox of the connection that owns the watch.
    pub mailbox: Mailbox,
    /// The blocks of the history to scan.
    pub history: Option<Heights>,
    /// Depths of `payment_confirmed`, in increasing order.
    pub confirm_at: Vec<u32>,
}

/// A request to attach a connection to a detached watch.
#[derive(Debug)]
pub struct AttachOrder {
    /// Id of the watch.
    pub watch_id: String,
    /// Its token as the client has sent it.
    pub token: SecretHex,
    /// The client has the matches up to this one.
    pub after: u64,
    /// Mailbox of the connection.
    pub mailbox: Mailbox,
}

/// A registered watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its id.
    pub watch_id: String,
    /// State of its history.
    pub history: HistoryPlan,
}

/// Why a watch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchRefused {
    /// The relay has the maximum number of watches.
    #[error("this relay has the maximum number of watches (limits.watches): try again later, or at another relay")]
    Full,
    /// The relay has the maximum number of detached watches.
    #[error(
        "this relay has the maximum number of detached watches (limits.detached_watches): try again later, at another \
         relay, or without detach"
    )]
    DetachedFull,
    /// The address of the client has the maximum number of detached watches.
    #[error(
        "this address has the maximum number of detached watches (limits.detached_watches_per_address): end one of \
         them first, or watch without detach"
    )]
    DetachedOfAddress,
    /// The queue of mempool scans, of this address or of all, is so long that a new watch would wait for minutes.
    #[error("too many scans of the mempool for new watches are waiting: try again in a minute")]
    Busy,
    /// Detection takes no commands: events cannot be written, or the machine is overloaded.
    #[error("the relay cannot register watches at the moment (GET /health may say why): try again in a minute")]
    Stalled,
    /// Detection is ending.
    #[error("the relay is shutting down")]
    Ending,
}

/// A watch to register; a detached one with its token.
pub(super) struct Registration {
    pub(super) order: WatchOrder,
    pub(super) detach: Option<(Detach, TokenHash)>,
}

/// The answer to a command about a detached watch.
pub(super) type DetachedReply<T> = oneshot::Sender<Result<T, AttachRefused>>;

pub(super) enum Command {
    Watch(Box<Registration>, oneshot::Sender<Result<Registered, WatchRefused>>),
    /// Attaches a connection to a detached watch.
    Attach(Box<AttachOrder>, DetachedReply<DetachedState>),
    /// The state of a detached watch.
    Detached {
        watch_id: String,
        token: TokenHash,
        reply: DetachedReply<DetachedState>,
    },
    /// Ends a detached watch.
    EndDetached {
        watch_id: String,
        token: TokenHash,
        reply: DetachedReply<()>,
    },
    Unwatch {
        watch_id: String,
        ended: oneshot::Sender<()>,
    },
    /// The connection of this mailbox has ended.
    Left(Mailbox),
    /// Results of scans of the history, for several watches.
    Scanned(Vec<ScannedRange>, oneshot::Sender<Vec<NextScan>>),
    /// Spends of outputs that were reported before, with the end of the wait for its effect.
    LookedUp(Box<LookedUp>, oneshot::Sender<()>),
    /// Transactions of spends that were reported without them.
    Named(Box<Named>, oneshot::Sender<()>),
    /// Events of the mesh; they are numbered and logged like all others.
    Log(Box<Event>),
    WalletScripts(HashSet<ScriptBuf>),
}

impl Detection {
    #[cfg(test)]
    pub(super) fn channel(scanner: Scanner) -> (Self, mpsc::Receiver<Command>) {
        Self::with_limits(scanner, DetachedLimits::default(), Counter::default())
    }

    /// A handle, and its commands. `lost` counts the matches that detached watches lose.
    pub(super) fn with_limits(
        scanner: Scanner,
        limits: DetachedLimits,
        lost: Counter,
    ) -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(COMMANDS_AHEAD);
        let detection = Self {
            commands,
            left_without_command: Arc::default(),
            mail: Arc::new(Mailboxes::new(limits, lost)),
            replacements: Arc::default(),
            scanner,
            failures: Arc::default(),
        };
        (detection, receiver)
    }

    /// A mailbox for a client from this address, of which all of one network (an IPv6 /64) count as one. When it is
    /// full, or detection drops it, it accepts no further messages, and the connection must be closed with 1013.
    pub fn mailbox(&self, address: IpAddr) -> (Mailbox, MailboxReceiver) {
        self.mail.mailbox(address)
    }

    /// As [`Self::mailbox`], for an edge that keeps what it was told: [`WatchMessage::MempoolScanned`] and
    /// [`WatchMessage::Settled`] are posted to it too.
    ///
    /// [`WatchMessage::MempoolScanned`]: super::WatchMessage::MempoolScanned
    /// [`WatchMessage::Settled`]: super::WatchMessage::Settled
    pub fn mailbox_with_scan_ends(&self, address: IpAddr) -> (Mailbox, MailboxReceiver) {
        self.mail.mailbox_with_scan_ends(address)
    }

    /// The scanner, which prepares the receiver of a watch.
    pub fn scanner(&self) -> &Scanner {
        &self.scanner
    }

    /// The transaction that has replaced this one in the mempool since the start; the newest 10,000 are known.
    pub fn replaced_by(&self, txid: &Txid) -> Option<Txid> {
        self.replacements.of(txid)
    }

    pub(super) fn is_back(&self, txid: &Txid) {
        self.replacements.is_back(txid);
    }

    pub(super) fn set_replaced(&self, txid: Txid, by: Txid) {
        self.replacements.insert(txid, by);
    }

    /// Registers a watch, or returns [`WatchRefused::Stalled`] after [`ANSWERED_WITHIN`]: detection does not register a
    /// watch once the caller has stopped waiting.
    pub async fn watch(&self, order: WatchOrder) -> Result<Registered, WatchRefused> {
        self.register(Registration { order, detach: None }).await
    }

    /// Registers a watch that goes on when its connection ends. Returns it with the secret that
    /// [`attach`](Self::attach) needs, which the relay does not keep.
    pub async fn watch_detached(
        &self,
        order: WatchOrder,
        detach: Detach,
    ) -> Result<(Registered, WatchToken), WatchRefused> {
        let token = WatchToken::random();
        let detach = Some((detach, token.hash()));
        let registered = self.register(Registration { order, detach }).await?;
        Ok((registered, token))
    }

    async fn register(&self, registration: Registration) -> Result<Registered, WatchRefused> {
        let (reply, answer) = oneshot::channel();
        let registered = async {
            self.send(Command::Watch(Box::new(registration), reply)).await;
            answer.await.unwrap_or(Err(WatchRefused::Ending))
        };
        timeout(ANSWERED_WITHIN, registered)
            .await
            .unwrap_or(Err(WatchRefused::Stalled))
    }

    /// Ends a watch; its keys are zeroised. When this returns `true`, no further message of it enters the mailbox;
    /// `false`: detection takes no commands now, and ends the watch when it does again.
    pub async fn unwatch(&self, watch_id: String) -> bool {
        let (ended, has_ended) = oneshot::channel();
        let unwatched = async {
            self.send(Command::Unwatch { watch_id, ended }).await;
            has_ended.await
        };
        timeout(ANSWERED_WITHIN, unwatched).await.is_ok()
    }

    /// Attaches a connection to a detached watch: the matches after `after` enter its mailbox, and then new ones. The
    /// connection that was attached before is told that it is no more.
    pub async fn attach(&self, order: AttachOrder) -> Result<DetachedState, AttachRefused> {
        let address = order.mailbox.address();
        let is_possible = order.watch_id.len() <= WATCH_ID_BYTES;
        self.about_detached(address, is_possible, |reply| Command::Attach(Box::new(order), reply))
            .await
    }

    /// The state of a detached watch, for a client from this address with this token.
    pub async fn detached(
        &self,
        watch_id: String,
        token: &str,
        address: IpAddr,
    ) -> Result<DetachedState, AttachRefused> {
        let (is_possible, token) = (watch_id.len() <= WATCH_ID_BYTES, TokenHash::of_text(token));
        let command = |reply| Command::Detached { watch_id, token, reply };
        self.about_detached(address, is_possible, command).await
    }

    /// Ends a detached watch, for a client from this address with this token; its keys are zeroised.
    pub async fn end_detached(&self, watch_id: String, token: &str, address: IpAddr) -> Result<(), AttachRefused> {
        let (is_possible, token) = (watch_id.len() <= WATCH_ID_BYTES, TokenHash::of_text(token));
        let command = |reply| Command::EndDetached { watch_id, token, reply };
        self.about_detached(address, is_possible, command).await
    }

    /// `is_possible`: such a watch may exist.
    async fn about_detached<T>(
        &self,
        address: IpAddr,
        is_possible: bool,
        command: impl FnOnce(DetachedReply<T>) -> Command,
    ) -> Result<T, AttachRefused> {
        if let Err(seconds) = self.failures.check(address) {
            return Err(AttachRefused::TooManyFailures { seconds });
        }
        let answered = async {
            if !is_possible {
                return Err(AttachRefused::NotFound);
            }
            let (reply, answer) = oneshot::channel();
            self.send(command(reply)).await;
            answer.await.unwrap_or(Err(AttachRefused::Ending))
        };
        let answer = timeout(ANSWERED_WITHIN, answered).await;
        let answer = answer.unwrap_or(Err(AttachRefused::Stalled));
        if matches!(answer, Err(AttachRefused::NotFound)) {
            self.failures.add(address);
        }
        answer
    }

    pub(super) fn kept_bytes(&self) -> usize {
        self.mail.kept_bytes()
    }

    /// Ends all watches of a connection, and detaches it from others. Does not wait, so that the slot of the connection
    /// is free as soon as it ends.
    pub fn leave(&self, mailbox: &Mailbox) {
        mailbox.close();
        if self.commands.try_send(Command::Left(mailbox.clone())).is_err() {
            self.left_without_command.store(true, Ordering::Release);
        }
    }

    /// Whether a connection has ended without a command since the last call.
    pub(super) fn take_left_without_command(&self) -> bool {
        self.left_without_command.swap(false, Ordering::AcqRel)
    }

    /// Logs an event of the mesh and sends it to every subscriber.
    pub async fn log(&self, event: Event) {
        self.send(Command::Log(Box::new(event))).await;
    }

    /// Replaces the set of the node wallet's scripts.
    pub async fn wallet_scripts(&self, scripts: HashSet<ScriptBuf>) {
        self.send(Command::WalletScripts(scripts)).await;
    }

    /// Applies the results of scans of the history. Returns where each scan continues.
    pub(super) async fn report_scanned(&self, scanned_ranges: Vec<ScannedRange>) -> Vec<NextScan> {
        let (reply, answer) = oneshot::channel();
        let scans = scanned_ranges.len();
        self.send(Command::Scanned(scanned_ranges, reply)).await;
        answer.await.unwrap_or_else(|_| vec![NextScan::Done; scans])
    }

    /// Applies the spends of outputs that were reported before.
    pub(super) async fn report_looked_up(&self, looked_up: LookedUp) {
        let (applied, is_applied) = oneshot::channel();
        self.send(Command::LookedUp(Box::new(looked_up), applied)).await;
        // Without an answer the relay is shutting down.
        drop(is_applied.await);
    }

    /// Applies the names of spends that were reported before.
    pub(super) async fn report_named(&self, named: Named) {
        let (applied, is_applied) = oneshot::channel();
        self.send(Command::Named(Box::new(named), applied)).await;
        // Without an answer the relay is shutting down.
        drop(is_applied.await);
    }

    async fn send(&self, command: Command) {
        #[expect(
            clippy::let_underscore_must_use,
            reason = "without a receiver the relay is shutting down"
        )]
        let _ = self.commands.send(command).await;
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::secp256k1::{Secp256k1, SecretKey};
    use sdk_relay_bip352::{Fast, Receiver, ScanKey};

    use super::*;

    fn order() -> WatchOrder {
        let key = SecretKey::from_slice(&[7; 32]).expect("a scalar");
        let spend = key.public_key(&Secp256k1::new());
        WatchOrder {
            receiver: Prepared::plain(Receiver::new(ScanKey::from(key), spend, []).expect("no labels")),
            addresses: HashMap::new(),
            mailbox: Arc::<Mailboxes>::default().mailbox(IpAddr::from([127, 0, 0, 1])).0,
            history: None,
            confirm_at: Vec::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_is_refused_while_detection_takes_no_commands_and_not_registered_later() {
        let (detection, mut commands) = Detection::channel(Scanner::new(Arc::new(Fast::new()), |_, _| {}));
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
